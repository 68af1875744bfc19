"""The command line: a thin caller of ``tuner.run`` and of ``tuner.study.results``. One file per group of commands."""
