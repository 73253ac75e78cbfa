#!/bin/sh
# The short form of `make report`: the simulation's tests, and whether docs/report is made of its results.json.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh python3
python3 -W ignore::ResourceWarning benches/report/test_report.py
