#!/bin/sh
# Builds another version of nginx from its source, for the tests of the gateway: target/nginx-VERSION/sbin/nginx.
#
#   build_nginx.sh SOURCE        a folder, or a .tar.gz as nginx.org has it
#
# `make soak` tries the shipped configuration on each that is there; one test by hand:
# NGINX_BINARY=$PWD/target/nginx-VERSION/sbin/nginx target/venv/bin/python tests/nginx/test_gateway.py
# Needs a C compiler and the headers of OpenSSL, zlib and PCRE (libpcre2-dev; libpcre3-dev before nginx 1.21.5).
set -eu

[ $# -eq 1 ] || { echo "usage: build_nginx.sh SOURCE" >&2; exit 64; }
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -d "$1" ]; then
    cp -R "$1/." "$work"
else
    tar -xzf "$1" -C "$work" --strip-components=1
fi
cd "$work"
version=$(sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' src/core/nginx.h)
# A release has `configure`, the repository `auto/configure`.
configure=./configure
[ -e $configure ] || configure=auto/configure
if ! { $configure --prefix="$root/target/nginx-$version" --with-http_ssl_module --with-http_v2_module --with-http_realip_module \
    --with-http_auth_request_module --with-cc-opt='-Wno-error' && make && make install; } >"$work/build.log" 2>&1; then
    tail -20 "$work/build.log" >&2
    exit 1
fi
echo "target/nginx-$version/sbin/nginx"
