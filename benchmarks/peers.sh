#!/bin/sh
# Makes benchmarks/.peers: the environment of the peers that the product is measured against.
# AIHWKit 1.2.0 has no wheel for every Python: its source distribution builds in about a quarter of
# an hour and needs a C++ compiler and OpenBLAS (Debian: build-essential libopenblas-dev).
# badcrossbar draws with cairo, whose headers its build needs (Debian: libcairo2-dev pkg-config).
# Usage: peers.sh [aihwkit] [badcrossbar]; default: both.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
test -x .peers/bin/python || "$python" -m venv .peers
pip="$PWD/.peers/bin/pip --disable-pip-version-check --quiet"
export PATH="$PWD/.peers/bin:$PATH"  # the build calls mypy's stubgen and cmake by name
$pip install --upgrade pip
for peer in ${*:-badcrossbar aihwkit}; do
    case $peer in
    badcrossbar)
        $pip install "badcrossbar==1.1.0"
        ;;
    aihwkit)
        $pip install "torch==2.13.0" torchvision numpy scipy "cmake>=4.2.1" ninja pybind11 scikit-build setuptools wheel mypy
        $pip install --no-build-isolation "aihwkit==1.2.0" "torch==2.13.0"
        ;;
    *)
        echo "peers.sh: no such peer: $peer; known: badcrossbar aihwkit" >&2
        exit 2
        ;;
    esac
    .peers/bin/python -c "from importlib.metadata import version; print('$peer', version('$peer'))"
done
