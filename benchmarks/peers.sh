#!/bin/sh
# Makes benchmarks/.peers: the environment of the peers that the product is measured against.
# AIHWKit 1.2.0 has no wheel for every Python: its source distribution builds in about a quarter of
# an hour and needs a C++ compiler and OpenBLAS (Debian: build-essential libopenblas-dev).
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
test -x .peers/bin/python || "$python" -m venv .peers
pip="$PWD/.peers/bin/pip --disable-pip-version-check --quiet"
export PATH="$PWD/.peers/bin:$PATH"  # the build calls mypy's stubgen and cmake by name
$pip install --upgrade pip
$pip install "torch==2.13.0" torchvision numpy scipy "cmake>=4.2.1" ninja pybind11 scikit-build setuptools wheel mypy
$pip install --no-build-isolation "aihwkit==1.2.0" "torch==2.13.0"
.peers/bin/python -c "import aihwkit, torch; print('aihwkit', aihwkit.__version__, 'torch', torch.__version__)"
