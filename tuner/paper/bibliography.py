"""What is cited, as BibTeX: software, algorithms, statistics."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

#: Key to entry. Keys are in the order in which a bibliography lists them.
ENTRIES: dict[str, tuple[str, dict[str, str]]] = {
    "agarwal2021": ("inproceedings", {
        "author": "Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and Courville, Aaron and "
        "Bellemare, Marc G.",
        "title": "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
        "booktitle": "Advances in Neural Information Processing Systems",
        "volume": "34", "pages": "29304--29320", "year": "2021",
    }),
    "akiba2019": ("inproceedings", {
        "author": "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori",
        "title": "Optuna: A Next-generation Hyperparameter Optimization Framework",
        "booktitle": "Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery and "
        "Data Mining",
        "pages": "2623--2631", "year": "2019", "doi": "10.1145/3292500.3330701",
    }),
    "bergstra2011": ("inproceedings", {
        "author": "Bergstra, James and Bardenet, R{\\'e}mi and Bengio, Yoshua and K{\\'e}gl, Bal{\\'a}zs",
        "title": "Algorithms for Hyper-Parameter Optimization",
        "booktitle": "Advances in Neural Information Processing Systems",
        "volume": "24", "pages": "2546--2554", "year": "2011",
    }),
    "efron1987": ("article", {
        "author": "Efron, Bradley", "title": "Better Bootstrap Confidence Intervals",
        "journal": "Journal of the American Statistical Association",
        "volume": "82", "number": "397", "pages": "171--185", "year": "1987", "doi": "10.1080/01621459.1987.10478410",
    }),
    "ernst2005": ("article", {
        "author": "Ernst, Damien and Geurts, Pierre and Wehenkel, Louis",
        "title": "Tree-Based Batch Mode Reinforcement Learning", "journal": "Journal of Machine Learning Research",
        "volume": "6", "pages": "503--556", "year": "2005",
    }),
    "harris2020": ("article", {
        "author": "Harris, Charles R. and Millman, K. Jarrod and van der Walt, St{\\'e}fan J. and others",
        "title": "Array programming with {NumPy}", "journal": "Nature",
        "volume": "585", "pages": "357--362", "year": "2020", "doi": "10.1038/s41586-020-2649-2",
    }),
    "hesterberg2015": ("article", {
        "author": "Hesterberg, Tim C.",
        "title": "What Teachers Should Know About the Bootstrap: Resampling in the Undergraduate Statistics Curriculum",
        "journal": "The American Statistician",
        "volume": "69", "number": "4", "pages": "371--386", "year": "2015", "doi": "10.1080/00031305.2015.1089789",
    }),
    "holm1979": ("article", {
        "author": "Holm, Sture", "title": "A Simple Sequentially Rejective Multiple Test Procedure",
        "journal": "Scandinavian Journal of Statistics",
        "volume": "6", "number": "2", "pages": "65--70", "year": "1979",
    }),
    "kalashnikov2018": ("inproceedings", {
        "author": "Kalashnikov, Dmitry and Irpan, Alex and Pastor, Peter and Ibarz, Julian and Herzog, Alexander and "
        "others",
        "title": "{QT-Opt}: Scalable Deep Reinforcement Learning for Vision-Based Robotic Manipulation",
        "booktitle": "Conference on Robot Learning", "year": "2018",
    }),
    "lai1976": ("article", {
        "author": "Lai, Tze Leung", "title": "On Confidence Sequences", "journal": "The Annals of Statistics",
        "volume": "4", "number": "2", "pages": "265--280", "year": "1976", "doi": "10.1214/aos/1176343406",
    }),
    "lam2015": ("inproceedings", {
        "author": "Lam, Siu Kwan and Pitrou, Antoine and Seibert, Stanley",
        "title": "Numba: A {LLVM}-based {Python} {JIT} compiler",
        "booktitle": "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC",
        "pages": "1--6", "year": "2015", "doi": "10.1145/2833157.2833162",
    }),
    "mann1947": ("article", {
        "author": "Mann, Henry B. and Whitney, Donald R.",
        "title": "On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other",
        "journal": "The Annals of Mathematical Statistics",
        "volume": "18", "number": "1", "pages": "50--60", "year": "1947", "doi": "10.1214/aoms/1177730491",
    }),
    "mnih2015": ("article", {
        "author": "Mnih, Volodymyr and Kavukcuoglu, Koray and Silver, David and others",
        "title": "Human-level control through deep reinforcement learning", "journal": "Nature",
        "volume": "518", "pages": "529--533", "year": "2015", "doi": "10.1038/nature14236",
    }),
    "newcombe2006": ("article", {
        "author": "Newcombe, Robert G.",
        "title": "Confidence intervals for an effect size measure based on the {Mann--Whitney} statistic. "
        "Part 2: Asymptotic methods and evaluation",
        "journal": "Statistics in Medicine",
        "volume": "25", "number": "4", "pages": "559--573", "year": "2006", "doi": "10.1002/sim.2324",
    }),
    "paszke2019": ("inproceedings", {
        "author": "Paszke, Adam and Gross, Sam and Massa, Francisco and others",
        "title": "{PyTorch}: An Imperative Style, High-Performance Deep Learning Library",
        "booktitle": "Advances in Neural Information Processing Systems",
        "volume": "32", "pages": "8024--8035", "year": "2019",
    }),
    "raffin2020": ("misc", {
        "author": "Raffin, Antonin", "title": "{RL Baselines3 Zoo}", "year": "2020",
        "howpublished": "\\url{https://github.com/DLR-RM/rl-baselines3-zoo}",
    }),
    "raffin2021": ("article", {
        "author": "Raffin, Antonin and Hill, Ashley and Gleave, Adam and Kanervisto, Anssi and Ernestus, Maximilian "
        "and Dormann, Noah",
        "title": "{Stable-Baselines3}: Reliable Reinforcement Learning Implementations",
        "journal": "Journal of Machine Learning Research",
        "volume": "22", "number": "268", "pages": "1--8", "year": "2021",
    }),
    "schaul2016": ("inproceedings", {
        "author": "Schaul, Tom and Quan, John and Antonoglou, Ioannis and Silver, David",
        "title": "Prioritized Experience Replay",
        "booktitle": "International Conference on Learning Representations", "year": "2016",
    }),
    "sutton1988": ("article", {
        "author": "Sutton, Richard S.", "title": "Learning to predict by the methods of temporal differences",
        "journal": "Machine Learning", "volume": "3", "pages": "9--44", "year": "1988", "doi": "10.1007/BF00115009",
    }),
    "towers2024": ("misc", {
        "author": "Towers, Mark and Kwiatkowski, Ariel and Terry, Jordan and others",
        "title": "{Gymnasium}: A Standard Interface for Reinforcement Learning Environments", "year": "2024",
        "howpublished": "arXiv:2407.17032",
    }),
    "obrien1979": ("article", {
        "author": "O'Brien, Peter C. and Fleming, Thomas R.",
        "title": "A Multiple Testing Procedure for Clinical Trials", "journal": "Biometrics",
        "volume": "35", "number": "3", "pages": "549--556", "year": "1979", "doi": "10.2307/2530245",
    }),
    "tune": ("misc", {
        "author": "{The tune-dqn authors}",
        "title": "{tune}: Hyperparameter optimization for Deep {Q}-learning", "year": "2026",
    }),
    "ba2016": ("misc", {
        "author": "Ba, Jimmy Lei and Kiros, Jamie Ryan and Hinton, Geoffrey E.",
        "title": "Layer Normalization", "year": "2016", "howpublished": "arXiv:1607.06450",
    }),
    "dabney2018": ("inproceedings", {
        "author": "Dabney, Will and Rowland, Mark and Bellemare, Marc G. and Munos, R{\\'e}mi",
        "title": "Distributional Reinforcement Learning with Quantile Regression",
        "booktitle": "Proceedings of the AAAI Conference on Artificial Intelligence",
        "volume": "32", "year": "2018",
    }),
    "fortunato2018": ("inproceedings", {
        "author": "Fortunato, Meire and Azar, Mohammad Gheshlaghi and Piot, Bilal and Menick, Jacob and others",
        "title": "Noisy Networks for Exploration",
        "booktitle": "International Conference on Learning Representations", "year": "2018",
    }),
    "loshchilov2017": ("inproceedings", {
        "author": "Loshchilov, Ilya and Hutter, Frank",
        "title": "{SGDR}: Stochastic Gradient Descent with Warm Restarts",
        "booktitle": "International Conference on Learning Representations", "year": "2017",
    }),
    "vieillard2020": ("inproceedings", {
        "author": "Vieillard, Nino and Pietquin, Olivier and Geist, Matthieu",
        "title": "Munchausen Reinforcement Learning",
        "booktitle": "Advances in Neural Information Processing Systems", "volume": "33", "year": "2020",
    }),
    "vanhasselt2016": ("inproceedings", {
        "author": "van Hasselt, Hado and Guez, Arthur and Silver, David",
        "title": "Deep Reinforcement Learning with Double {Q}-learning",
        "booktitle": "Proceedings of the AAAI Conference on Artificial Intelligence",
        "volume": "30", "year": "2016", "doi": "10.1609/aaai.v30i1.10295",
    }),
    "wang2024": ("misc", {
        "author": "Wang, Hongjian and Ramdas, Aaditya",
        "title": "Anytime-valid t-tests and confidence sequences for {Gaussian} means with unknown variance",
        "year": "2024", "howpublished": "arXiv:2310.03722",
    }),
    "wang2016": ("inproceedings", {
        "author": "Wang, Ziyu and Schaul, Tom and Hessel, Matteo and van Hasselt, Hado and Lanctot, Marc and "
        "de Freitas, Nando",
        "title": "Dueling Network Architectures for Deep Reinforcement Learning",
        "booktitle": "Proceedings of the 33rd International Conference on Machine Learning",
        "volume": "48", "pages": "1995--2003", "year": "2016",
    }),
    "watkins1989": ("phdthesis", {
        "author": "Watkins, Christopher J. C. H.", "title": "Learning from Delayed Rewards",
        "school": "University of Cambridge", "year": "1989",
    }),
    "waudbysmith2024": ("article", {
        "author": "Waudby-Smith, Ian and Ramdas, Aaditya",
        "title": "Estimating means of bounded random variables by betting",
        "journal": "Journal of the Royal Statistical Society Series B: Statistical Methodology",
        "volume": "86", "number": "1", "pages": "1--27", "year": "2024", "doi": "10.1093/jrsssb/qkad009",
    }),
    "zou2008": ("article", {
        "author": "Zou, Guang Yong and Donner, Allan",
        "title": "Construction of confidence limits about effect measures: A general approach",
        "journal": "Statistics in Medicine",
        "volume": "27", "number": "10", "pages": "1693--1702", "year": "2008", "doi": "10.1002/sim.3095",
    }),
}  # fmt: skip


def bibtex(keys: Iterable[str], version: str | None = None) -> str:
    """Return the entries of some keys.

    Args:
        keys: Of :data:`ENTRIES`.
        version: Of this program, that the runs were made with; None takes the installed one.
    """
    entries = []
    for key in sorted(set(keys)):
        kind, fields = ENTRIES[key]
        if key == "tune":
            fields = {**fields, "note": f"Version {version or metadata.version('tune-dqn')}"}
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        entries.append(f"@{kind}{{{key},\n{lines}\n}}\n")
    return "\n".join(entries)
