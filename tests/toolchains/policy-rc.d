#!/bin/sh
# Installing a package must not start its service: a step has no init, and an image no processes.
exit 101
