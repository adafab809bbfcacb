"""Every way that Python has to start a program. It would sleep for 20 seconds."""
import concurrent.futures, multiprocessing, os, subprocess

sleep = ["/bin/sleep", "20"]

def softmax(x, dim):
    ways = [
        lambda: subprocess.Popen(sleep),
        lambda: subprocess.getoutput("sleep 20 &"),
        lambda: os.system("sleep 20 &"),
        lambda: os.popen("sleep 20 &"),
        lambda: os.posix_spawn(sleep[0], sleep, {}),
        lambda: os.posix_spawnp(sleep[0], sleep, {}),
        lambda: os.spawnv(os.P_NOWAIT, sleep[0], sleep),
        lambda: os.forkpty(),
        lambda: multiprocessing.get_context("fork").Process(target=print).start(),
        lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
        lambda: multiprocessing.get_context("forkserver").Process(target=print).start(),
        lambda: concurrent.futures.ProcessPoolExecutor().submit(print).result(),
        lambda: __import__("_posixsubprocess").fork_exec(
            sleep, [b"/bin/sleep"], True, (), None, None, -1, -1, -1, -1, -1, -1, -1, -1,
            False, True, 0, None, None, None, -1, None, True),
    ]
    for number, way in enumerate(ways):
        try:
            way()
        except PermissionError as error:
            last = error
        else:
            raise RuntimeError(f"BREACH: way {number}")
    raise last
