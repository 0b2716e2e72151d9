"""Small Compose files, each about one thing: what it says in all of its forms."""

from __future__ import annotations

Files = dict[str, str]

FEATURES: dict[str, Files] = {
    "ports": {
        "compose.yaml": """
services:
  a:
    image: x
    ports: [80, "8080:80", "127.0.0.1:8081:80/udp", "9000-9002:9000-9002", "5000-5010:5000", "[::1]:90:90", "::1:91:91", "100-102", "0.0.0.0::7", "80:80/TCP", "8080:80"]
""",
    },
    "ports long": {
        "compose.yaml": """
services:
  a:
    image: x
    ports: [{target: 80}, {target: "81", published: 8081, host_ip: 127.0.0.1, protocol: udp, mode: host, name: n, app_protocol: http}, {target: 82, published: "8000-8010"}]
""",
    },
    "ports env": {
        "compose.yaml": """
services:
  a:
    image: x
    ports: ["${P:-5}:80", "${U}:81", {target: "${P:-6}", published: "$P"}]
""",
        ".env": "P=77\n",
    },
    "expose": {
        "compose.yaml": """
services:
  a:
    image: x
    expose: [80, "81", "82/udp", "90-91", 80]
""",
    },
    "volumes": {
        "compose.yaml": """
services:
  a:
    image: x
    volumes: ["./a:/a", "../b:/b:ro", "~/c:/c", "/d:/d:rw,z", "nn:/n:nocopy", "/anon", "nn:/m:Z", ".:/e:cached", "./f:/f:rshared,ro", "x", "d:/win", "c:\\\\x:/y:ro"]
    volumes_from: [container:z]
volumes: {nn: }
""",
    },
    "volumes long": {
        "compose.yaml": """
services:
  a:
    image: x
    volumes:
      - {type: bind, source: ./a, target: /a}
      - {type: bind, source: a/, target: /b/, bind: {propagation: shared}}
      - {type: bind, source: /abs/../c, target: /c, bind: {create_host_path: false, selinux: z}, read_only: true, consistency: cached}
      - {type: volume, source: vol, target: /d, volume: {nocopy: true, labels: [a=b]}}
      - {type: volume, target: /e}
      - {type: tmpfs, target: /f, tmpfs: {size: 10m, mode: 0755}}
      - {type: tmpfs, target: /g}
      - {type: tmpfs, target: /h, tmpfs: {size: 10}}
volumes: {vol: {external: true}}
""",
    },
    "declared": {
        "compose.yaml": """
services:
  a: {image: x, networks: [n1, n2, n3, default], volumes: ["v1:/1", "v2:/2", "v3:/3", "v4:/4"], secrets: [s1, s2, {source: s1, target: /abs, mode: 0400, uid: "1", gid: "2"}], configs: [c1, c2, {source: c3, target: /c, mode: "0444"}], tty: true}
networks:
  n1: {driver: bridge, driver_opts: {a: 1, b: 'true'}, labels: ["a=b", c], internal: true, attachable: false, enable_ipv6: true, ipam: {driver: default, config: [{subnet: 10.0.0.0/8, gateway: 10.0.0.1, ip_range: 10.1.0.0/16, aux_addresses: {h: 10.0.0.3}}], options: {o: '1'}}}
  n2: {external: true}
  n3: {name: "my-${X:-x}", external: false}
  default: {driver: overlay}
  unused: {}
volumes:
  v1:
  v2: {name: "my vol", driver: local, driver_opts: {type: none, o: bind, device: ./data}, labels: {a: null, b: 1, c: true}}
  v3: {external: true, name: ext}
  v4: {driver_opts: {device: ./x, o: bind}}
secrets:
  s1: {file: ./s.txt}
  s2: {environment: TOKEN, name: named}
  unused: {file: ./t}
configs:
  c1: {file: ~/c}
  c2: {content: "a $$b ${X:-y}"}
  c3: {environment: X}
""",
    },
    "depends": {
        "compose.yaml": """
services:
  a: {image: x, depends_on: [b, c]}
  b: {image: x, depends_on: {c: {condition: service_healthy, restart: true}, e: {condition: service_completed_successfully, required: false}}, links: ["c", "c:alias", "d:x"]}
  c: {image: x, network_mode: "service:d", ipc: "service:d", pid: host}
  d: {image: x, volumes_from: ["e:ro", "container:q"]}
  e: {image: x, network_mode: none}
""",
    },
    "profiles": {
        "compose.yaml": """
services:
  a: {image: x, depends_on: {b: {condition: service_started, required: false}}}
  b: {image: x, profiles: [p, q, p], networks: [n], volumes: ["vol:/v"]}
  c: {image: x, profiles: []}
networks: {n: {}}
volumes: {vol: {}}
""",
    },
    "profiles env": {
        "compose.yaml": """
services:
  a: {image: x, depends_on: {b: {condition: service_started, required: false}}}
  b: {image: x, profiles: [p, q, p], networks: [n], volumes: ["vol:/v"]}
  c: {image: x, profiles: []}
networks: {n: {}}
volumes: {vol: {}}
""",
        ".env": "COMPOSE_PROFILES=z, q\n",
    },
    "environment": {
        "compose.yaml": """
services:
  a:
    image: x
    environment:
      - A=1
      - B
      - C=
      - HOME
      - D=${A:-x}=y
      - A=2
      - COMPOSE_PROJECT_NAME
      - ENVF
    env_file: [one.env, {path: two.env, required: true}, {path: none.env, required: false}, {path: raw.env, format: raw}]
""",
        "one.env": "X=1\nY=${X}2\nexport Z='$X'\nHOME2=$HOME\nB=fromfile\nQ=\"a\\nb\"\nA=file\nL=$A\nSP = sp\n",
        "two.env": "X=3\nW=${Y}w${X}\nN: yaml\nBARE\nPWDX=$PWD2\n",
        "raw.env": "R=$X 'q' #c\n",
        ".env": "ENVF=dot\nBARE=bb\n",
    },
    "environment map": {
        "compose.yaml": """
services:
  a:
    image: x
    environment:
      A: 1
      B: null
      C: ""
      D: true
      E: 1.50
      F: 0o17
      G: 010
      H: 1e3
      I: 2026-01-01
      J: yes
      K: "$$x"
      L: ~
      M: 0x1F
      N: 1_000
      O: 12:30
      P: .5
      Q: 1e-7
      R: 123456789012345678901234
      S: -0.0
      U: 2026-01-01T10:00:00Z
      V: "null"
      W: 1.0
      X: 100000000000000000000000.5
      Y: +12
      Z: 0b11
""",
    },
    "command": {
        "compose.yaml": """
services:
  a:
    image: x
    command: bash -c "echo $$HOME && x" 'a b' c\\ d
    entrypoint: ["a", "b c"]
""",
    },
    "command null": {
        "compose.yaml": """
services:
  a:
    image: x
    command:
    entrypoint: ""
""",
    },
    "command multi": {
        "compose.yaml": """
services:
  a:
    image: x
    command: >
      sh -c "a
      b"
    entrypoint: |
      x y
      z
""",
    },
    "healthcheck": {
        "compose.yaml": """
services:
  a: {image: x, healthcheck: {test: curl -f x || exit 1, interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s, start_interval: 5s}}
  b: {image: x, healthcheck: {test: ["CMD-SHELL", "a"], interval: 0s, retries: "5"}}
  c: {image: x, healthcheck: {disable: true}}
  d: {image: x, healthcheck: {test: NONE}}
  e: {image: x, healthcheck: {test: ["NONE"]}}
  f: {image: x, healthcheck: {}}
  g: {image: x, healthcheck: {test: [], interval: 1d2h, timeout: 1.5h}}
""",
    },
    "build": {
        "compose.yaml": """
services:
  a: {build: .}
  b: {build: {context: ../x, dockerfile: D, target: t, args: [A=1, B, HOME, C=], labels: {a: b}, cache_from: [x], network: host, extra_hosts: ["a:1.2.3.4"], shm_size: 1g, tags: [a, b, a], no_cache: true, pull: "true"}, image: i}
  c: {build: {dockerfile_inline: "FROM x\\nRUN y $$z", args: {A: null, HOME: null, N: 1, F: 1.0, T: true}}}
  d: {build: https://github.com/a/b.git#main:sub}
  e: {build: {context: "git@github.com:a/b.git"}}
  f: {build: {context: ./sub/, dockerfile: ../D}}
  g: {build: {}}
  h: {build: "~/x"}
""",
    },
    "deploy": {
        "compose.yaml": """
services:
  a: {image: x, deploy: {replicas: 3, mode: replicated, labels: [a=b], endpoint_mode: vip, resources: {limits: {cpus: 0.75, memory: 512M, pids: 100}, reservations: {cpus: "0.25", memory: '1024', devices: [{driver: nvidia, count: all, capabilities: [gpu]}, {capabilities: [tpu], device_ids: ["1"], options: {a: 1}}, {capabilities: [x]}], generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}, restart_policy: {condition: any, delay: 0s, max_attempts: 0, window: 120s}, update_config: {parallelism: 2, delay: 10s, failure_action: pause, monitor: 60s, max_failure_ratio: 0.3, order: start-first}, rollback_config: {parallelism: 0, delay: 0s}, placement: {constraints: [a==b], preferences: [{spread: x}], max_replicas_per_node: 2}}}
  b: {image: x, scale: 2, depends_on: {c: {condition: service_healthy}}}
  c: {image: x, scale: 0, deploy: {}}
  d: {image: x, deploy: {replicas: 0}, depends_on: [c]}
  e: {image: x, deploy: }
  f: {image: x, deploy: {resources: {limits: {}}}}
""",
    },
    "resources": {
        "compose.yaml": """
services:
  a:
    image: x
    mem_limit: 1g
    mem_reservation: 512MB
    memswap_limit: -1
    mem_swappiness: 10
    cpus: "1.5"
    cpu_shares: 512
    cpu_quota: 50000
    cpu_period: 100000
    cpuset: 0,1
    pids_limit: -1
    shm_size: 1.5gb
    oom_kill_disable: true
    oom_score_adj: -500
    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3, core: 0, memlock: {soft: -1, hard: -1}}
""",
    },
    "misc": {
        "compose.yaml": """
services:
  a:
    image: x
    annotations: {a: b, n: }
    attach: false
    cap_add: [A, B, A]
    cap_drop: [ALL]
    container_name: cc
    devices: ["/dev/a", "/dev/b:/dev/c", "/dev/d:/dev/e:r", {source: /dev/f, target: /dev/g, permissions: rw}]
    dns: [1.1.1.1, 8.8.8.8]
    dns_search: example.com
    dns_opt: [a, b]
    domainname: d
    external_links: [a, b:c]
    extra_hosts: ["h1:1.1.1.1", "h2=::1", "h3:[::1]", "h1=2.2.2.2", "host.docker.internal:host-gateway"]
    group_add: [1, mail]
    hostname: h
    init: true
    ipc: shareable
    labels: [a=b, c, d=e=f]
    logging: {driver: json-file, options: {max-size: 10m, max-file: 3, x: }}
    mac_address: 02:42:ac:11:65:43
    networks: {default: {aliases: [a, b, a], ipv4_address: 1.2.3.4, ipv6_address: "::1", link_local_ips: [1.1.1.1], mac_address: x, priority: 10, driver_opts: {a: 1}}}
    pid: host
    platform: linux/amd64
    privileged: true
    pull_policy: if_not_present
    read_only: true
    restart: unless-stopped
    runtime: runc
    security_opt: [a]
    stdin_open: true
    stop_grace_period: 1m30s
    stop_signal: SIGINT
    sysctls: [a=1, b=2]
    tmpfs: ["/a", "/b:size=1", "/a"]
    tty: true
    user: '1000'
    userns_mode: host
    uts: host
    working_dir: /w
""",
    },
    "misc2": {
        "compose.yaml": """
services:
  a:
    image: x
    extra_hosts: {a: 1.1.1.1, b: [1.1.1.1, "[::2]"]}
    labels: {a: 1, b: true, c: , d: 1.5, e: "x"}
    sysctls: {a: 1, b: "2"}
    restart: "no"
    user: "0:0"
    gpus: all
    dns: ""
    tmpfs: /run
    stop_grace_period: 0s
""",
    },
    "tty env": {
        "compose.yaml": """
services:
  a:
    image: x
    tty: ${T}
    init: "yes"
    privileged: "off"
    read_only: "True"
    stdin_open: ${U:-n}
    cpus: ${N:-0.5}
    pids_limit: ${P:-10}
    healthcheck: {disable: "${T}", retries: "${P:-4}"}
    deploy: {replicas: "${P:-2}"}
""",
        ".env": "T=true\n",
    },
    "anchors": {
        "compose.yaml": """
x-common: &c
  image: x
  environment: &e {A: 1, B: 2}
  labels: [a=b]
x-more: &m {restart: always, image: no}
services:
  a: {<<: *c, environment: {<<: *e, C: 3}}
  b: {<<: [*c, *m], command: x}
""",
    },
    "override": {
        "compose.yaml": """
name: base
services:
  a:
    image: x
    command: a b
    entrypoint: [q]
    environment: {A: 1, B: 2}
    labels: [a=1, b=2]
    ports: ["80:80", "81:81"]
    expose: ["1", "2"]
    volumes: ["./a:/a", "vol:/v", "./c:/c:ro"]
    depends_on: {b: {condition: service_healthy}, c: {condition: service_started}}
    networks: [n, m]
    dns: 1.1.1.1
    env_file: one.env
    extra_hosts: ["a:1.1.1.1", "b:1"]
    healthcheck: {test: [CMD, a], interval: 1s}
    logging: {driver: a, options: {x: 1}}
    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 1}
    deploy: {replicas: 2, resources: {limits: {cpus: "1"}}, labels: {a: 1}}
    build: ./x
    secrets: [s]
    devices: ["/dev/a:/dev/x"]
    cap_add: [A]
    group_add: [a]
    security_opt: [a]
    tmpfs: /tt
    sysctls: {a: 1}
    profiles: []
  b: {image: x}
  c: {image: x}
networks: {n: {labels: [a=1], ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]}}, m: }
volumes: {vol: {labels: {a: 1}}}
secrets: {s: {file: a}}
""",
        "compose.override.yaml": """
name: over
services:
  a:
    command: ["c"]
    entrypoint:
    environment: [B=3, C=4, HOME]
    labels: {b: 3, c: }
    ports: ["80:80", "8080:80", {target: 81, published: "81"}]
    expose: [2, 3]
    volumes: ["./z:/a:ro", {type: tmpfs, target: /c}, "/new"]
    depends_on: [b, d]
    networks: {n: {aliases: [x]}, o: {}}
    dns: [2.2.2.2]
    env_file: [two.env, one.env]
    extra_hosts: {a: 1.1.1.1, c: '3'}
    healthcheck: {test: b, retries: 3}
    logging: {driver: b, options: {y: 1}}
    ulimits: {nofile: {soft: 5, hard: 6}, nproc: {soft: 2, hard: 3}}
    deploy: {resources: {limits: {memory: 1g}}, labels: [b=2]}
    build: {args: [A=1], target: t}
    secrets: [{source: s, target: t}, s]
    devices: ["/dev/b:/dev/x"]
    cap_add: [B, A]
    group_add: [b, a]
    security_opt: [a]
    tmpfs: [/bb, /tt]
    sysctls: [b=2, a=3]
    restart: always
  d: {image: x}
networks: {n: {labels: {b: 2}, ipam: {config: [{subnet: 10.0.0.0/24, ip_range: 10.0.0.0/25}, {subnet: 10.9.0.0/24}]}}, o: }
volumes: {vol: {labels: [b=2], driver: local}}
""",
        "one.env": "X=1\n",
        "two.env": "X=2\nY=1\n",
    },
    "logging same": {
        "compose.yaml": """
services: {a: {image: x, logging: {driver: a, options: {x: 1}}}}
""",
        "compose.override.yaml": """
services: {a: {logging: {options: {y: 1}}}}
""",
    },
    "reset": {
        "compose.yaml": """
services: {a: {image: x, ports: ['1:1'], environment: {A: 1, B: 2}, command: x, volumes: ['/a']}, b: {image: y}}
""",
        "compose.override.yaml": """
services: {a: {ports: !reset [], environment: {A: !reset null, C: 3}, command: !reset null, volumes: !override ['/b']}, b: !reset null}
""",
    },
    "override null": {
        "compose.yaml": """
services: {a: {image: x, command: x, environment: {A: 1}, ports: ['1:1'], networks: {n: {aliases: [a]}}, labels: {a: 1}, depends_on: [b]}, b: {image: x}}
networks: {n: {driver: bridge}}
""",
        "compose.override.yaml": """
services: {a: {image: , command: , environment: , ports: , networks: [n], labels: {a: }, depends_on: }}
networks: {n: }
""",
    },
    "extends": {
        "compose.yaml": """
services:
  base: {image: x, environment: {A: 1}, ports: ["80:80"], volumes: ["./a:/a"], command: b, depends_on: [z]}
  a: {extends: base, environment: [B=2], ports: ["81:81"], command: c}
  b: {extends: {service: a}, image: y, volumes: ["./b:/a"]}
  c: {extends: {file: sub/base.yaml, service: web}, labels: {a: 1}}
  z: {image: z}
""",
        "sub/base.yaml": """
services:
  web: {extends: other, build: ./ctx, env_file: web.env, volumes: ["./data:/data", "~/h:/h"], labels: [b=2]}
  other: {image: "o:${TAG:-latest}", environment: {O: "${TAG:-t}"}}
""",
        "sub/web.env": "W=1\n",
        ".env": "TAG=9\n",
    },
    "include": {
        "compose.yaml": """
include: [sub/compose.yaml, {path: [two/a.yaml, two/b.yaml], project_directory: two, env_file: two/x.env}]
services: {a: {image: x, depends_on: [web, t]}}
""",
        "sub/compose.yaml": """
services: {web: {build: ., image: 'w:${TAG:-none}', volumes: ['./d:/d','vol:/v'], env_file: e.env, networks: [n]}}
volumes: {vol: {}}
networks: {n: {}}
""",
        "sub/.env": "TAG=sub\n",
        "sub/e.env": "E=${TAG}\n",
        "two/a.yaml": """
services: {t: {image: 't:${T2}', environment: {A: 1}, volumes: ['./q:/q']}}
""",
        "two/b.yaml": """
services: {t: {environment: {B: 2}}}
""",
        "two/x.env": "T2=2\n",
    },
    "include override": {
        "compose.yaml": """
include: [sub.yaml]
services: {web: {command: over, environment: {B: 2}, ports: ['1:1']}}
""",
        "sub.yaml": """
services: {web: {image: x, command: base, environment: {A: 1}, ports: ['2:2']}}
""",
    },
    "name": {
        "compose.yaml": """
name: My-${X:-App}.v2
services: {a: {image: 'x:${COMPOSE_PROJECT_NAME}', volumes: ['vol:/v']}}
volumes: {vol: }
""",
    },
    "name env": {
        "compose.yaml": """
name: x
services: {a: {image: x}}
""",
        ".env": "COMPOSE_PROJECT_NAME=fromenv\n",
    },
    "version": {
        "compose.yaml": """
version: '3.8'
services: {a: {image: x}}
x-top: {a: 1}
""",
    },
    "label_file": {
        "compose.yaml": """
services:
  a:
    image: x
    label_file: [l.env]
    labels: {a: own}
""",
        "l.env": "a=file\nb=2\nc=${b}3\n",
    },
    "multi docs": {
        "compose.yaml": """
services: {a: {image: x, ports: ['1:1']}}
---
services: {a: {image: y, ports: ['2:2']}, b: {image: z}}
""",
    },
    "html": {
        "compose.yaml": "services:\n  a:\n    image: x\n    labels: {a: '<b> & c', b: 'é\u2028'}\n    command: ['<', '&', 'ü']\n",
    },
    "develop": {
        "compose.yaml": """
services:
  a:
    build: .
    develop: {watch: [{path: ./src, action: sync, target: /app, ignore: [node_modules/]}, {path: package.json, action: rebuild}]}
""",
    },
    "external old": {
        "compose.yaml": """
services: {a: {image: x, volumes: ['vol:/v'], networks: [n]}}
volumes: {vol: {external: {name: old}}}
networks: {n: {external: {name: oldn}}}
""",
    },
    "bool text": {
        "compose.yaml": """
services:
  a:
    image: x
    environment: [A=true, B=1.0]
    labels: ['a=1']
    hostname: 'x'
    build: {context: ., no_cache: 'true'}
""",
    },
    "net none": {
        "compose.yaml": """
services: {a: {image: x, network_mode: bridge}}
networks: {n: {}}
""",
    },
    "env file text": {
        "compose.yaml": """
services:
  a:
    image: x
    env_file: a.env
    environment: [A, B=own]
""",
        "a.env": "\ufeffA=1\nB=2\n# c\n\nC=3 # x\nD='#'\nE=#x\nF=\nG\n",
    },
    "dup env": {
        "compose.yaml": """
services:
  a:
    image: x
    env_file: [a.env, b.env]
    environment: {X: '${X:-d}'}
""",
        "a.env": "A=1\nB=${A}\nX=f\n",
        "b.env": "A=2\nC=${A}${B}\n",
    },
}
