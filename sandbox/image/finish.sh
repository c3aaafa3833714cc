#!/bin/sh
# Runs as root inside the image that is being built, once the packages are in: all that a read-only root needs beforehand.
set -eu
packages=$(python3 -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("numpy").submodule_search_locations[0]))')
library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')

# The packages' own tests and headers: a third of their size, and nothing imports them.
find "$packages" -type d -name tests -prune -exec rm -rf {} +
find "$packages" -type f \( -name '*.a' -o -name '*.pyx' -o -name '*.pxd' \) -delete
find /usr/share/doc -type f ! -name copyright -delete
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/* /usr/share/man/* /usr/share/locale/*

# Compiled and cached now, as nothing can be written later. Unchecked: the sources cannot change either.
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(test|tests|lib2to3)/' "$library" "$packages"
mkdir -p /workspace /opt/sandbox/mpl
MPLCONFIGDIR=/opt/sandbox/mpl MPLBACKEND=Agg python3 -c 'import matplotlib.pyplot'

groupadd --gid 10001 sandbox
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /workspace --shell /bin/bash sandbox
chown 10001:10001 /workspace
chmod -R a+rX /opt/sandbox "$packages"
command -v python >/dev/null || ln -s python3 /usr/bin/python
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
