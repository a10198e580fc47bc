#!/bin/sh
# Makes benchmarks/.peers: the environment of the peers that the product is measured against.
# AIHWKit 1.2.0 has no wheel for every Python: its source distribution builds in about a quarter of
# an hour and needs a C++ compiler and OpenBLAS. badcrossbar draws with cairo, whose headers its
# build needs. What is missing of the system is named first, and nothing is installed then.
# Usage: peers.sh [aihwkit] [badcrossbar]; default: both. Exit code 2: usage, or the system lacks something.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}

missing=
# lacks PACKAGE COMMAND...: the system lacks a Debian package where the command fails
lacks() {
    package=$1
    shift
    case " $missing " in *" $package "*) return ;; esac
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
includes() { echo "#include <$2>" | "$1" -E -x "$3" -; }
has_python_headers() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

for peer in ${*:-badcrossbar aihwkit}; do
    case $peer in
    badcrossbar)
        lacks build-essential command -v cc
        lacks pkg-config command -v pkg-config
        lacks libcairo2-dev pkg-config --exists cairo
        ;;
    aihwkit)
        lacks build-essential command -v c++
        lacks libopenblas-dev includes c++ cblas.h c++
        ;;
    *)
        echo "peers.sh: no such peer: $peer; known: badcrossbar aihwkit" >&2
        exit 2
        ;;
    esac
    lacks python3-dev has_python_headers
    lacks python3-venv "$python" -c "import ensurepip, venv"
done
if [ -n "$missing" ]; then
    echo "peers.sh: the peers need what this system lacks; on Debian: apt-get install$missing" >&2
    exit 2
fi

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
    esac
    .peers/bin/python -c "from importlib.metadata import version; print('$peer', version('$peer'))"
done
