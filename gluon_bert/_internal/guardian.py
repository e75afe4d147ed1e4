"""Lead a process group, and end it when the process that started this one is gone.

Run as a script whose standard input is a pipe of that process. Nothing else is imported, so that it
starts at once.
"""

import os
import signal
import time

GRACE_SECONDS = 2


def main() -> None:
    """Wait for the end of standard input, which comes however the parent ends."""
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b'ready\n')
    while os.read(0, 64):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == '__main__':
    main()
