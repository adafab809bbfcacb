"""Sends one and the same job to wherever a member found hardware: here, Slurm, a rented cloud, a hosted notebook.

    job.py       what is to run, on how much, for how long: frozen, and kept in the run's folder
    place.py     what each place can do: check, render, submit, status, logs, cancel, fetch
    settings.py  what a member wrote down once about their places
    here.py  slurm.py  sky.py  hf.py  notebook.py      one place each
    places.py    their names

torchrun is the only launcher of processes. What crosses from one place to another is the run's folder, and a job is
judged by what stands in it, never by an exit code. No torch here.
"""
