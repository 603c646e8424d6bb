#!/usr/bin/env python3
"""Runs a command and writes "EXIT SECONDS MIB" to a file: wall time, and the most resident memory
that it or any process it waited for ever had.

usage: measure.py FILE COMMAND...
"""
import os
import subprocess
import sys
import time

start = time.monotonic()
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
took = time.monotonic() - start
with open(sys.argv[1], "w") as f:
    f.write(f"{os.waitstatus_to_exitcode(status)} {took:.2f} {usage.ru_maxrss // 1024}\n")
