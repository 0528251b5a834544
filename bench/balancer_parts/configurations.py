"""Configuration files of the proxies for a case."""

import json


def mainstay(case, dir):
    text = f"""
[balancer]
certificates = [{{ chain = "{dir}/cert.pem", key = "{dir}/key.pem" }}]
[balancer.limits]
connections = {case.connections}
[backends.app]
endpoints = {json.dumps(case.addresses())}
[backends.app.health]
interval = "{case.interval}s"
"""
    for n in range(case.routes):
        text += f'[[routes]]\npath-prefix = "/r{n}/"\nbackend = "app"\n'
    if case.routes:
        text += '[[routes]]\npath-prefix = "/"\nbackend = "app"\n'
    return text


def haproxy(case, loads, ports, dir):
    servers = "".join(f"  server s{n} {address} check inter {case.interval}s\n"
                      for n, address in enumerate(case.addresses()))
    route = ""
    if case.routes:
        (dir / "routes.map").write_text("".join(f"/r{n}/ app\n" for n in range(case.routes)))
        route = f"  use_backend %[path,map_beg({dir}/routes.map)]\n"
    return f"""
global
  nbthread 1
  maxconn {case.connections}
  no strict-limits
  log {loads.sink} len 2048 local0
  stats socket {dir}/stats.sock
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse always
  option forwardfor
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  timeout tunnel 60s
  retries 2
  option redispatch
frontend f
  bind 127.0.0.1:{ports['http']} backlog 4096
  bind 127.0.0.1:{ports['https']} backlog 4096 ssl crt {loads.dir}/both.pem alpn h2,http/1.1
  bind 127.0.0.1:{ports['h2c']} backlog 4096 proto h2
  http-request set-header X-Forwarded-Proto http
  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid
  unique-id-header X-Request-Id
{route}  default_backend app
frontend stats
  bind 127.0.0.1:{ports['stats']}
  stats enable
  stats uri /
backend app
  balance roundrobin
  option httpchk GET /
{servers}"""


def nginx(case, loads, ports, dir):
    import os
    servers = "".join(f"    server {address};\n" for address in case.addresses())
    proxied = """proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
"""
    routes = "".join(f"    location /r{n}/ {{ {proxied} }}\n" for n in range(case.routes))
    return f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections {case.connections}; }}
http {{
  access_log {dir}/access.log combined buffer=32k flush=1s;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  client_max_body_size 64m;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  # A response of 64 KiB stands in memory, and a body goes on as it comes: both quicker than the defaults.
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  proxy_busy_buffers_size 32k;
  proxy_request_buffering off;
  ssl_certificate {loads.dir}/cert.pem;
  ssl_certificate_key {loads.dir}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  upstream app {{
{servers}    keepalive {max(256, 4 * case.endpoints)};
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{ports['http']} backlog=4096;
    listen 127.0.0.1:{ports['https']} ssl http2 backlog=4096;
    listen 127.0.0.1:{ports['h2c']} http2 backlog=4096;
    location / {{ {proxied} }}
    location /ws {{
      {proxied}
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
{routes}  }}
  server {{
    listen 127.0.0.1:{ports['stats']};
    location / {{ stub_status; }}
  }}
}}
"""


def caddy(case, loads, ports, dir):
    upstreams = " ".join(case.addresses())
    proxied = f"""reverse_proxy {upstreams} {{
      lb_policy round_robin
      health_uri /
      health_interval {case.interval}s
      transport http {{
        keepalive_idle_conns 2000
        keepalive_idle_conns_per_host 256
      }}
    }}"""
    log = f"log {{\n    output file {dir}/access.log\n  }}"
    routes = "".join(f"  handle /r{n}/* {{\n    import app\n  }}\n" for n in range(case.routes))
    site = f"  {log}\n{routes}  handle {{\n    import app\n  }}\n"
    return f"""{{
  admin 127.0.0.1:{ports['stats']}
  auto_https off
  metrics
  servers {{
    protocols h1 h2 h2c
  }}
}}
(app) {{
  {proxied}
}}
http://:{ports['http']} {{
  bind 127.0.0.1
{site}}}
https://:{ports['https']} {{
  bind 127.0.0.1
  tls {loads.dir}/cert.pem {loads.dir}/key.pem
{site}}}
"""


def envoy(case, loads, ports, dir):
    def address(text):
        host, port = text.rsplit(":", 1)
        return {"socket_address": {"address": host, "port_value": int(port)}}

    extension = "type.googleapis.com/envoy.extensions"
    to_app = {"cluster": "app", "timeout": "60s"}
    routes = [{"match": {"prefix": f"/r{n}/"}, "route": to_app} for n in range(case.routes)]
    routes.append({"match": {"prefix": "/"}, "route": to_app})
    manager = {
        "@type": f"{extension}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [{"name": "file", "typed_config": {
            "@type": f"{extension}.access_loggers.file.v3.FileAccessLog", "path": f"{dir}/access.log"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {
            "@type": f"{extension}.filters.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    tls = {"name": "tls", "typed_config": {
        "@type": f"{extension}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{"certificate_chain": {"filename": f"{loads.dir}/cert.pem"},
                                  "private_key": {"filename": f"{loads.dir}/key.pem"}}]}}}
    endpoints = [{"endpoint": {"address": address(text)}} for text in case.addresses()]
    return json.dumps({
        "admin": {"address": address(f"127.0.0.1:{ports['stats']}")},
        "static_resources": {
            "listeners": [
                {"name": "http", "address": address(f"127.0.0.1:{ports['http']}"),
                 "filter_chains": [chain]},
                {"name": "https", "address": address(f"127.0.0.1:{ports['https']}"),
                 "filter_chains": [chain | {"transport_socket": tls}]}],
            "clusters": [{
                "name": "app", "type": "STATIC", "connect_timeout": "5s", "lb_policy": "ROUND_ROBIN",
                "health_checks": [{"timeout": "1s", "interval": f"{case.interval}s",
                                   "unhealthy_threshold": 2, "healthy_threshold": 2,
                                   "http_health_check": {"path": "/"}}],
                "circuit_breakers": {"thresholds": [{"max_connections": 20000, "max_requests": 20000,
                                                     "max_pending_requests": 20000}]},
                "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": endpoints}]}}]}})
