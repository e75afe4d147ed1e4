#!/usr/bin/env bash
# Make a Python with NumPy for aarch64, which qemu runs: FOLDER/python. Needs apt-get, dpkg, pip and
# qemu-aarch64; for tests/kernels/test_aarch64.py, which also needs aarch64-linux-gnu-g++.
# usage: .ci/aarch64.sh FOLDER [PYTHON-WITH-PIP]
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
pip=${2:-python3}
if [ -x "$folder/python" ]; then
    exit
fi
# A system of its own for apt-get, so that nothing of this machine's changes.
mkdir -p "$folder"/{lists/partial,cache/archives/partial,root,site}
: > "$folder/status"
cat > "$folder/apt.conf" << END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Dir::State::Lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder/cache";
END
export APT_CONFIG=$folder/apt.conf
apt-get update -qq
apt-get install -qq --download-only --no-install-recommends python3 libgomp1 libstdc++6 > /dev/null
for package in "$folder"/cache/archives/*.deb; do
    dpkg -x "$package" "$folder/root"
done
[ -e "$folder/root/lib" ] || ln -s usr/lib "$folder/root/lib"
rm -r "$folder/lists" "$folder/cache"
python=$(basename "$(readlink -f "$folder/root/usr/bin/python3")")
"$pip" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
    --target "$folder/site" --only-binary=:all: --implementation cp \
    --python-version "${python#python}" --platform manylinux2014_aarch64 \
    --platform manylinux_2_28_aarch64 numpy
cat > "$folder/new" << END
#!/bin/sh
export QEMU_LD_PREFIX="$folder/root" PYTHONPATH="\$PYTHONPATH:$folder/site" PYTHONDONTWRITEBYTECODE=1
exec qemu-aarch64 "$folder/root/usr/bin/$python" "\$@"
END
chmod +x "$folder/new"
mv "$folder/new" "$folder/python"
