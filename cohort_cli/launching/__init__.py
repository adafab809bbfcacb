"""Sends one and the same job to wherever a member found hardware: here, Slurm, a rented cloud, a hosted notebook.

    job.py       what is to run, on how much, for how long: frozen, and kept in the run's folder
    place.py     what each place can do: check, render, submit, status, logs, cancel, fetch
    settings.py  what a member wrote down once about their places
    here.py  slurm.py  sky.py  hf.py  notebook.py      one place each
    places.py    their names
    wish.py  sending.py      from what was typed to a job that a place has taken, or to nothing at all
    jobs.py  logs.py         what `cohort runs` asks of a job that was sent
    slurm_check.py  slurm_nodes.py  slurm_script.py  slurm_copy.py      asked, rendered, and copied for Slurm
    remote.py  carried.py  programs.py  yaml_text.py      what rented machines are told, and what goes along
    find_gpu.py              which GPU holds a job, and what that would cost
    verdict.py  faults.py    what the folder says of a job that ended: a bug, or a process that was lost
    foreground.py  supervise.py  __main__.py      trains on this machine: shown, started again, in the background

torchrun is the only launcher of processes. What crosses from one place to another is the run's folder, and a job is
judged by what stands in it, never by an exit code. No torch here.
"""
