"""The command line: a thin caller of ``tuner.run`` and of ``tuner.result.study``. One file per group of commands."""
