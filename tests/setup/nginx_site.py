"""Writes the one nginx file that differs by site; everything else is nginx/ of the project, unchanged."""
import getpass
import os
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "nginx"

FRAME = """\
daemon off;
{user}
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {dir}/error.log {log_level};
events {{ worker_connections 2048; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;

    upstream avain {{ server {avain} max_fails=0; keepalive 64; keepalive_requests 1000000; keepalive_timeout 8s; }}
    upstream backend {{ server {backend}; keepalive 32; }}
    map $http_origin $avain_cors_origin {{
        default "";
{origins}
    }}
    {misplaced_root}
    limit_req_zone $avain_limit_key zone=avain_sign_in:10m rate={rate};
    variables_hash_max_size 2048;
    include avain/maps.conf;

{redirect}
    server {{
        listen 127.0.0.1:{port}{ssl};
        server_name localhost 127.0.0.1;
{tls}
        include avain/server.conf;
        include avain/public.conf;
{protected}
        include avain/pages.conf;
        location ^~ /sysadmin/       {{ include avain/to_avain.conf; }}
        location ^~ /monitor/        {{ include avain/backend.conf; }}
{rest}
    }}
}}
"""

TLS = """\
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        include avain/tls.conf;"""

REDIRECT = """\
    server {{
        listen 127.0.0.1:{http_port};
        return 301 https://$host:{port}$request_uri;
    }}"""

NOT_FOUND = """        location / { default_type application/json; return 404 '{"detail":"Not found."}'; }"""

ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


def write_site(directory, *, avain, backend, port, roots, origins, rate, certificate=None, key=None, http_port=None,
               workers=1, log_level="warn", shipped=SHIPPED):
    """Makes `directory` a place where `nginx -c directory/nginx.conf` runs. Gives the path of that file."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "avain"
    if not link.exists():
        link.symlink_to(shipped)
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"not an origin: {origin}")
    tls = TLS.format(certificate=certificate, key=key) if certificate else ""
    path = directory / "nginx.conf"
    path.write_text(FRAME.format(
        dir=directory, workers=workers, log_level=log_level, avain=avain, backend=backend, port=port, rate=rate, tls=tls,
        ssl=" ssl http2" if certificate else "",
        user=user_line(),
        origins="\n".join(f'        "{origin}" "{origin}";' for origin in origins),
        misplaced_root=shipped_map("$avain_misplaced_root"),
        redirect=REDIRECT.format(http_port=http_port, port=port) if http_port else "",
        protected="\n".join(protected(root) for root in roots if root != "/"),
        rest=protected("/") if "/" in roots else NOT_FOUND))
    return path


def user_line():
    """As root nginx would give its workers away to a user that cannot enter our directories."""
    return f"user {getpass.getuser()};" if os.getuid() == 0 else ""


def protected(root):
    """The location of one protected root: exact where it has no last slash, and / for all that nobody named."""
    match = "" if root == "/" else "^~ " if root.endswith("/") else "= "
    return f"        location {match}{root} {{ include avain/protect.conf; include avain/uploads.conf; }}"


def shipped_map(variable):
    """A `map` block out of the shipped avain.conf, so that what runs here is what people copy."""
    text = (SHIPPED / "avain.conf").read_text()
    found = re.search(r"^map \$\w+ " + re.escape(variable) + r" \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"avain.conf has no map for {variable}")
    return found.group(0)
