#!/bin/sh
# Makes what compose.yaml needs and cannot invent, in deploy/secrets/: once; what is there stays as it is.
set -eu
umask 077
cd "$(dirname -- "$0")"
mkdir -p secrets/tls
[ -e secrets/master-key ] || openssl rand -hex 32 >secrets/master-key
[ -e secrets/phantom-secret ] || openssl rand -hex 32 >secrets/phantom-secret
[ -e secrets/phantom-key ] || printf 'hs256:%s\n' "$(cat secrets/phantom-secret)" >secrets/phantom-key     # as avain reads it
[ -e secrets/database-password ] || openssl rand -hex 24 >secrets/database-password
[ -e secrets/database-url ] ||
    echo "postgresql://avain:$(cat secrets/database-password)@postgres:5432/avain" >secrets/database-url
[ -e secrets/tls/fullchain.pem ] ||
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -out secrets/tls/fullchain.pem -keyout secrets/tls/privkey.pem 2>/dev/null
# Outside of a swarm a secret keeps the mode of its file, and those who read it in the containers are not root.
# The directory is closed to everybody else.
chmod 700 secrets
chmod 644 secrets/master-key secrets/phantom-secret secrets/phantom-key secrets/database-url secrets/database-password
