# The scene: vendors on loopback, a service that reads, configurations. Sourced by `run`.

# Another version of the same package, to upgrade from.
previous_of() { # DEB, NEW
  rm -rf "$cache/previous"
  dpkg-deb -R "$1" "$cache/previous"
  sed -i 's/^Version: .*/Version: 0.0.9-1/' "$cache/previous/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -z1 -b "$cache/previous" "$2" >/dev/null
}

set_the_scene() {
  install -m 0755 "$standin" "$tree/usr/local/bin/standin"
  cp "$deb" "$tree/root/current.deb"
  previous_of "$deb" "$tree/root/previous.deb"
  mkdir "$tree/etc/credstore" "$tree/srv/tokens" "$tree/etc/systemd/system/tokend.service.d"

  cat >"$tree/etc/systemd/system/standin.service" <<'EOF'
[Service]
ExecStart=/usr/local/bin/standin 4180 3600
StandardOutput=append:/var/log/standin
EOF
  # Another service under its own user, which reads its token file through a group.
  cat >"$tree/etc/systemd/system/reader.service" <<'EOF'
[Unit]
Wants=tokend.service
After=tokend.service
[Service]
Type=oneshot
User=api-reader
ExecStart=/bin/cat /run/tokend/tokens/shared
StandardOutput=truncate:/var/log/reader
EOF
  # A service that is to be told of its new token, on which tokend has no right.
  cat >"$tree/etc/systemd/system/api.service" <<'EOF'
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'cat /run/tokend/tokens/api >>/var/log/api; echo >>/var/log/api'
EOF
  # Quicker than in life, so that the test is.
  cat >"$tree/etc/systemd/system/tokend.service.d/test.conf" <<'EOF'
[Service]
WatchdogSec=6s
RestartSec=100ms
EOF
  inside groupadd readers
  inside useradd --system --groups readers api-reader
  inside systemctl daemon-reload
  inside systemctl start standin.service
  eventually vendors_listen
}

vendors_listen() {
  grep -q '^open-payments' "$tree/var/log/standin"
}

# What the stand-ins said of a vendor: url, id or secret.
vendor() { # preset, what
  local pattern
  case $2 in
  url) pattern='\([^ ]*\)  id .*' ;;
  id) pattern='[^ ]*  id \([^ ]*\) .*' ;;
  secret) pattern='.*  secret \(.*\)' ;;
  esac
  sed -n "s|^$1 *$pattern|\1|p" "$tree/var/log/standin" | head -1
}

issued() {
  grep -c ' issued ' "$tree/var/log/standin" || true
}

vendor_is_up() {
  inside systemctl start standin.service
}

vendor_is_down() {
  inside systemctl stop standin.service
}

# What is configured at most of the time: one token of an exclusive slot for a group, one of a plain
# server, and one in a directory of its own.
configure() {
  cat >"$tree/etc/tokend/tokend.toml" <<EOF
[daemon]
ready_timeout = "${1:-60s}"

[providers.op]
preset        = "open-payments"
environment   = "sandbox"
token_url     = "$(vendor open-payments url)"
client_id     = "$(vendor open-payments id)"
client_secret = { credential = "op-secret" }

[providers.idp]
preset        = "oauth2"
token_url     = "$(vendor oauth2 url)"
client_id     = "$(vendor oauth2 id)"
client_secret = { file = "/etc/tokend/idp-secret" }

[tokens.shared]
provider    = "op"
psu_context = "corporate"
scopes      = ["accountinformation"]
sinks       = [{ file = "/run/tokend/tokens/shared", mode = "0640", group = "readers" }]

[tokens.api]
provider = "idp"
sinks    = [{ file = "/run/tokend/tokens/api" }]

[tokens.elsewhere]
provider = "idp"
sinks    = [{ file = "/srv/tokens/elsewhere" }]
EOF
  vendor oauth2 secret >"$tree/etc/tokend/idp-secret"
  chmod 0600 "$tree/etc/tokend/idp-secret"
  inside chown tokend:tokend /etc/tokend/idp-secret
}

pid() {
  inside systemctl show --property MainPID --value tokend.service
}

state() {
  inside systemctl show --property ActiveState --value tokend.service
}

is_active() {
  [ "$(state)" = active ]
}

is_failed() {
  [ "$(state)" = failed ]
}

status_line_says() {
  says "$1" inside systemctl show --property StatusText --value tokend.service
}

# Whether another process than $1 is up and well.
started_anew() {
  [ "$(pid)" != "$1" ] && is_active && inside tokend status >/dev/null
}

token() {
  inside cat "/run/tokend/tokens/$1"
}

# Whether a command says $1, however it ends.
says() {
  local said
  said=$("${@:2}" 2>&1) || true
  printf '%s\n' "$said"
  grep -qF -- "$1" <<<"$said"
}

# The shell does not end at a `!` that comes out wrong.
not() {
  if "$@"; then return 1; fi
}

fails_with() { # exit code, command…
  local wanted=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" = "$wanted" ]
}
