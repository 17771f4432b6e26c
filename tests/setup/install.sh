#!/bin/sh
# Puts on the machine what the project's scripts need and it lacks; quick and silent where all is there.
#
#   install.sh          everything that `make test` needs: nginx, Caddy, openssl, PostgreSQL's server, Python's venv module
#                       and what tests/interop has read our tokens: HAProxy, Apache with mod_auth_openidc, Node.js with jose
#   install.sh run      what `make run` needs: nginx and openssl
#   install.sh pages    what the tests of pages need beside: a browser
#   install.sh bench    what `make bench` needs beside: nginx's module for Lua, a yardstick
#   install.sh venv     target/venv with the packages of requirements.txt
#
# On Debian and Ubuntu it asks apt-get (as root, or with sudo); elsewhere it says exactly what is missing.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$here")")
PATH=$PATH:/usr/sbin:/sbin
python=${PYTHON:-python3}
sudo='sudo -n'
[ -t 0 ] && sudo=sudo       # somebody is there to type a password

have_nginx() { command -v nginx >/dev/null 2>&1 && nginx -V 2>&1 | grep -q http_auth_request; }
have_caddy() { command -v caddy >/dev/null 2>&1; }
have_openssl() { command -v openssl >/dev/null 2>&1; }
have_postgresql() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
        ls /usr/pgsql-*/bin/initdb >/dev/null 2>&1
}
have_haproxy() { command -v haproxy >/dev/null 2>&1; }
have_jose() { NODE_PATH=/usr/share/nodejs node -e 'require("jose").createRemoteJWKSet' >/dev/null 2>&1; }
have_openidc() {
    command -v apache2 >/dev/null 2>&1 && ls /usr/lib/apache2/modules/mod_auth_openidc.so >/dev/null 2>&1
}
have_chromium() { command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1; }
have_lua() {
    ls /usr/lib/nginx/modules/ngx_http_lua_module.so >/dev/null 2>&1 && ls /usr/lib/*/lua/5.1/cjson.so >/dev/null 2>&1
}
have_venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

missing() {     # the Debian packages that are missing, of those named
    for package in "$@"; do
        case $package in
            nginx) have_nginx || printf ' nginx' ;;
            caddy) have_caddy || printf ' caddy' ;;
            openssl) have_openssl || printf ' openssl' ;;
            postgresql) have_postgresql || printf ' postgresql' ;;
            chromium) have_chromium || printf ' chromium' ;;
            python3-venv) have_venv || printf ' python3-venv' ;;
            libnginx-mod-http-lua | lua-cjson) have_lua || printf ' %s' "$package" ;;
            haproxy) have_haproxy || printf ' haproxy' ;;
            node-jose) have_jose || printf ' node-jose' ;;
            apache2-bin | libapache2-mod-auth-openidc) have_openidc || printf ' %s' "$package" ;;
        esac
    done
}

explain() {     # what the packages are called where there is no apt-get
    for package in "$@"; do
        case $package in
            nginx) echo "  - nginx 1.20 or newer, with auth_request (nginx -V shows http_auth_request_module)" ;;
            caddy) echo "  - Caddy 2.6 or newer" ;;
            openssl) echo "  - the openssl command" ;;
            postgresql) echo "  - PostgreSQL's server, 13 or newer (initdb, postgres, pg_ctl)" ;;
            chromium) echo "  - Chromium" ;;
            python3-venv) echo "  - Python's venv and ensurepip modules for $python" ;;
            libnginx-mod-http-lua) echo "  - nginx's module ngx_http_lua in /usr/lib/nginx/modules, and cjson for Lua 5.1" ;;
            haproxy) echo "  - HAProxy 2.5 or newer (jwt_verify)" ;;
            node-jose) echo "  - Node.js with the package jose 4 or newer in /usr/share/nodejs" ;;
            libapache2-mod-auth-openidc) echo "  - Apache 2.4 with mod_auth_openidc in /usr/lib/apache2/modules" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        $sudo "$@"
    fi
}

# The packages are wanted, not the services they would start on ports 80 and 5432: a policy-rc.d that says no
# (Debian Policy 9.3.3.1), unless the machine has a policy of its own.
install_packages() {
    as_root sh -c '
        set -e
        export DEBIAN_FRONTEND=noninteractive
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" > $policy
            chmod 755 $policy
        fi
        apt-get install -y -qq --no-install-recommends "$@" ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; }
    ' sh "$@" </dev/null >"$log" 2>&1
}

require() {
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    # shellcheck disable=SC2086  # a list of words
    set -- $wanted
    if ! command -v apt-get >/dev/null 2>&1 || { [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; }; then
        echo "This machine lacks, and this script cannot install:" >&2
        explain "$@" >&2
        command -v apt-get >/dev/null 2>&1 && echo "As root: apt-get install $*" >&2
        exit 1
    fi
    echo "installing: $*"
    log=$(mktemp)
    if ! install_packages "$@"; then
        cat "$log" >&2
        echo "apt-get could not install: $*" >&2
        explain "$@" >&2
        exit 1
    fi
    rm -f "$log"
    left=$(missing "$@")
    if [ -n "$left" ]; then
        echo "installed, and still not usable:$left" >&2
        exit 1
    fi
}

make_venv() {
    venv=$root/target/venv
    stamp=$venv/requirements.txt
    cmp -s "$here/requirements.txt" "$stamp" && [ -x "$venv/bin/python" ] && return 0
    require python3-venv
    echo "making target/venv"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$stamp"
}

case ${1:-test} in
    test) require nginx caddy openssl postgresql python3-venv haproxy node-jose apache2-bin libapache2-mod-auth-openidc ;;
    run) require nginx openssl ;;
    pages) require nginx openssl chromium ;;
    bench) require nginx openssl libnginx-mod-http-lua lua-cjson ;;
    venv) make_venv ;;
    *) echo "usage: install.sh [run | pages | bench | venv]" >&2; exit 64 ;;
esac
