# What the package promises, a function for each. Sourced by `run`; the order matters.

all_promises() {
  shows "installing starts nothing, and says what comes next" installs
  shows "the sandbox's exposure is 1.5 or less" exposure
  shows "what the unit lacks and what the host lacks is told with the remedy, and tokend lives on" lacks
  shows "tokend check --unit prints the drop-in that helps" drop_in
  shows "READY waits for the tokens, and STATUS says for which" waits
  shows "another service reads its token through a group, and others do not" reads
  shows "systemctl status and journalctl say how it stands, and no secret" tells
  shows "an edit is taken while it runs" edit
  shows "a bad configuration fails systemctl reload, and the old one goes on" bad_reload
  shows "kill -9: it is started again, and asks for nothing" killed
  shows "SIGSTOP: the watchdog starts it again, and it asks for nothing" stopped_by_signal
  shows "a bad configuration at the start is not tried again (78)" bad_start
  shows "stop keeps the tokens, start asks for nothing, the socket is at its path" stop_and_start
  shows "with tokend.socket who connects while it restarts is served" activation
  shows "a unit has its token as a credential, and another has nothing" credential
  shows "a .path unit of root's reloads a unit that tokend has no right over" path_unit
  shows "it can write nowhere else, and has no privileges" sandbox
  shows "an upgrade restarts it and keeps the tokens" upgrade
  shows "removing keeps the state" removed
  shows "purging leaves nothing" purged
  shows "without systemd it installs, and says how to run it" without_systemd
  shows "so does the RPM" without_systemd_from_rpm
}

installs() {
  says "installed and not started" inside dpkg --install /root/previous.deb
  [ "$(state)" = inactive ]
  not inside systemctl --quiet is-enabled tokend.service
  fails_with 78 inside tokend check
  inside stat --format '%A %U:%G' /etc/tokend | grep -qx 'drwxr-x--- root:tokend'
}

exposure() {
  local said score
  said=$(inside systemd-analyze --no-pager security tokend.service | tail -1)
  score=$(sed 's/.*: \([0-9.]*\) .*/\1/' <<<"$said")
  figure "systemd-analyze security: $score"
  awk -v score="$score" 'BEGIN { exit !(score > 0 && score <= 1.5) }'
}

lacks() {
  configure 2s
  inside chown tokend /srv/tokens
  mkdir -p "$tree/etc/tokend/conf.d"
  cat >"$tree/etc/tokend/conf.d/lacking.toml" <<'EOF'
[tokens.no-group]
provider = "idp"
sinks    = [{ file = "/run/tokend/tokens/no-group", group = "no-such" }]
[tokens.no-member]
provider = "idp"
sinks    = [{ file = "/run/tokend/tokens/no-member", group = "readers" }]
[tokens.no-user]
provider = "idp"
sinks    = [{ file = "/run/tokend/tokens/no-user", owner = "no-such" }]
[tokens.no-directory]
provider = "idp"
sinks    = [{ file = "/srv/no-such/token" }]
EOF
  inside systemctl start tokend.service
  is_active
  status_line_says "slots lack a required one, see tokend status: "
  inside tokend status >"$cache/status" || true
  cat "$cache/status"
  local wanted
  for wanted in "ReadWritePaths=" "SupplementaryGroups=" "LoadCredential=op-secret" "check --unit" "there is no group" \
    "there is no user" "/srv/no-such does not exist: create it"; do
    grep -qF -- "$wanted" "$cache/status"
    says "$wanted" inside journalctl --no-pager --unit tokend.service
  done
  rm -r "$tree/etc/tokend/conf.d"
}

drop_in() {
  configure
  vendor open-payments secret >"$tree/etc/credstore/op-secret"
  inside sh -c 'tokend check --unit >/etc/systemd/system/tokend.service.d/needs.conf'
  cat "$tree/etc/systemd/system/tokend.service.d/needs.conf"
  # Without it the file could not be given to the group.
  grep -qx 'SupplementaryGroups=readers' "$tree/etc/systemd/system/tokend.service.d/needs.conf"
  inside systemctl daemon-reload
  inside systemctl restart tokend.service
  inside tokend status
  [ -s "$tree/srv/tokens/elsewhere" ]
}

waits() {
  inside systemctl stop tokend.service
  inside sh -c 'rm -rf /var/lib/tokend/* /run/tokend/tokens'
  vendor_is_down
  inside systemctl start --no-block tokend.service reader.service
  eventually status_line_says "it has no access token yet"
  [ "$(state)" = activating ]
  inside systemctl show --property ActiveState --value reader.service | grep -qx inactive
  vendor_is_up
  eventually is_active
  [ -n "$(token shared)" ]
  [ -n "$(token api)" ]
  # Without waiting for anybody.
  inside systemctl stop tokend.service
  inside sh -c 'rm -rf /var/lib/tokend/* /run/tokend/tokens'
  inside systemctl start tokend.service
  figure "start to READY, three tokens asked for: $(start_to_ready) ms"
  inside systemctl restart tokend.service
  figure "start to READY, all kept: $(start_to_ready) ms"
}

start_to_ready() {
  local from to
  from=$(inside systemctl show --property InactiveExitTimestampMonotonic --value tokend.service)
  to=$(inside systemctl show --property ActiveEnterTimestampMonotonic --value tokend.service)
  echo $(((to - from) / 1000))
}

reads() {
  inside systemctl start reader.service
  [ "$(cat "$tree/var/log/reader")" = "$(token shared)" ]
  inside stat --format '%a %U:%G' /run/tokend/tokens/shared | grep -qx '640 tokend:readers'
  not inside setpriv --reuid nobody --clear-groups cat /run/tokend/tokens/shared
}

tells() {
  says "3 tokens, all required ones valid and delivered" inside systemctl --no-pager status tokend.service
  inside journalctl --no-pager --output json --unit tokend.service >"$cache/journal"
  grep -q '"MESSAGE":"access token issued slot=op/corporate provider=op generation=1 ' "$cache/journal"
  grep -q '"TOKEND_SLOT":"op/corporate"' "$cache/journal"
  grep -q '"MESSAGE":"ready: every required token' "$cache/journal"
  set +x
  local secret
  for secret in "$(token shared)" "$(token api)" "$(vendor open-payments secret)" "$(vendor oauth2 secret)"; do
    not grep -qF -- "$secret" "$cache/journal"
  done
  set -x
  local rss
  rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$(host_pid)/status")
  figure "resident: $rss kB"
}

# The daemon as the host numbers it.
host_pid() {
  local inner found
  inner=$(pid)
  for found in $(pgrep --exact tokend); do
    if grep -qP "^NSpid:.*\t$inner\$" "/proc/$found/status"; then echo "$found"; fi
  done
}

edit() {
  local process before
  process=$(pid) before=$(token shared)
  mkdir "$tree/etc/tokend/conf.d"
  cat >"$tree/etc/tokend/conf.d/more.toml" <<'EOF'
[tokens.more]
provider = "idp"
sinks    = [{ file = "/run/tokend/tokens/more" }]
EOF
  eventually inside test -s /run/tokend/tokens/more
  [ "$(pid)" = "$process" ]
  [ "$(token shared)" = "$before" ]
}

bad_reload() {
  local process
  process=$(pid)
  inside systemctl reload tokend.service
  echo 'nonsense = ' >"$tree/etc/tokend/conf.d/wrong.toml"
  not inside systemctl reload tokend.service
  says "wrong.toml:1" inside journalctl --no-pager --unit tokend.service
  says "wrong.toml:1" inside tokend status
  is_active
  [ "$(pid)" = "$process" ]
  [ -n "$(token more)" ]
  rm "$tree/etc/tokend/conf.d/wrong.toml"
  inside systemctl reload tokend.service
}

killed() {
  local before=$(issued) process=$(pid) held=$(token shared)
  inside sh -c "kill -KILL $process"
  eventually started_anew "$process"
  [ "$(issued)" = "$before" ]
  [ "$(token shared)" = "$held" ]
}

stopped_by_signal() {
  local before=$(issued) process=$(pid) held=$(token shared)
  inside sh -c "kill -STOP $process"
  eventually started_anew "$process"
  says "Watchdog timeout" inside journalctl --no-pager --unit tokend.service
  [ "$(issued)" = "$before" ]
  [ "$(token shared)" = "$held" ]
}

bad_start() {
  inside systemctl stop tokend.service
  echo 'nonsense = ' >"$tree/etc/tokend/conf.d/wrong.toml"
  not inside systemctl start tokend.service
  eventually is_failed
  inside systemctl show --property ExecMainStatus --value tokend.service | grep -qx 78
  # Longer than RestartSec=: what would come again has come.
  inside sh -c 'systemd-run --quiet --wait --on-active=1s true' || true
  is_failed
  inside systemctl show --property NRestarts --value tokend.service | grep -qx 0
  says "wrong.toml:1" inside systemctl --no-pager status tokend.service
  rm "$tree/etc/tokend/conf.d/wrong.toml"
  inside systemctl start tokend.service
}

stop_and_start() {
  local before=$(issued) held=$(token shared)
  inside systemctl stop tokend.service
  [ "$(token shared)" = "$held" ]
  not inside test -e /run/tokend/tokend.sock
  inside systemctl start tokend.service
  inside test -S /run/tokend/tokend.sock
  [ "$(inside tokend get shared)" = "$held" ]
  [ "$(issued)" = "$before" ]
}

activation() {
  local held=$(token shared) inode
  inside systemctl stop tokend.service
  inside systemctl enable --now tokend.socket
  inside stat --format '%a %U' /run/tokend/tokend.sock | grep -qx '666 tokend'
  inode=$(inside stat --format %i /run/tokend/tokend.sock)
  # The first who connects starts it.
  [ "$(inside tokend get shared)" = "$held" ]
  is_active
  inside systemctl restart --no-block tokend.service
  [ "$(inside tokend get shared)" = "$held" ]
  eventually is_active
  inside systemctl stop tokend.service
  [ "$(inside stat --format %i /run/tokend/tokend.sock)" = "$inode" ]
  inside systemctl start tokend.service
  inside systemctl reload tokend.service
  inside systemctl disable --now tokend.socket
  inside systemctl restart tokend.service
  inside test -S /run/tokend/tokend.sock
}

credential() {
  local name before=$(issued)
  cat >"$tree/etc/tokend/conf.d/readers.toml" <<'EOF'
[tokens.shared]
readers = { units = ["worker.service"] }
EOF
  for name in worker stranger; do
    cat >"$tree/etc/systemd/system/$name.service" <<EOF
[Service]
Type=oneshot
LoadCredential=shared:/run/tokend/credentials.sock
ExecStart=/bin/sh -c 'cat "\$CREDENTIALS_DIRECTORY"/* >/var/log/$name'
EOF
  done
  inside systemctl daemon-reload
  inside systemctl stop tokend.service
  inside systemctl enable --now tokend-credentials.socket
  inside stat --format '%a %U' /run/tokend/credentials.sock | grep -qx '600 root'
  # Whoever asks first starts it.
  inside systemctl start worker.service
  [ "$(cat "$tree/var/log/worker")" = "$(token shared)" ]
  inside systemctl start stranger.service || true
  not inside test -s /var/log/stranger
  says "a credential was not given" inside journalctl --no-pager --unit tokend.service
  [ "$(issued)" = "$before" ]
  inside systemctl disable --now tokend-credentials.socket
  rm "$tree/etc/tokend/conf.d/readers.toml" "$tree"/etc/systemd/system/{worker,stranger}.service
  inside systemctl daemon-reload
  inside systemctl restart tokend.service
}

path_unit() {
  local examples=/usr/share/doc/tokend/examples
  inside cp $examples/api-token.path $examples/api-token.service /etc/systemd/system
  inside systemctl daemon-reload
  inside systemctl start api.service api-token.path
  inside tokend refresh api
  eventually api_was_told
}

api_was_told() {
  grep -qxF -- "$(token api)" "$tree/var/log/api" 2>/dev/null
}

sandbox() {
  local process place
  process=$(pid)
  # Not even for root.
  for place in /etc/tokend /usr /var/lib /srv /opt /home; do
    fails_with 1 inside nsenter --target "$process" --mount touch "$place/escaped"
  done
  for place in /run /run/systemd /var/log; do
    fails_with 1 inside nsenter --target "$process" --mount setpriv --reuid tokend --clear-groups touch "$place/escaped"
  done
  inside nsenter --target "$process" --mount touch /var/lib/tokend/inside
  inside rm /var/lib/tokend/inside
  inside cat "/proc/$process/status" >"$cache/process"
  grep -qP '^CapEff:\t0+$' "$cache/process"
  grep -qP '^CapBnd:\t0+$' "$cache/process"
  grep -qP '^NoNewPrivs:\t1$' "$cache/process"
  grep -qP '^Seccomp:\t2$' "$cache/process"
}

upgrade() {
  local before=$(issued) process=$(pid) held=$(token shared)
  says "0.0.9-1" inside dpkg-query --show --showformat '${Version}' tokend
  # As the operator wrote it.
  inside dpkg --install --force-confold /root/current.deb
  not says "0.0.9-1" inside dpkg-query --show --showformat '${Version}' tokend
  started_anew "$process"
  [ "$(issued)" = "$before" ]
  [ "$(token shared)" = "$held" ]
}

removed() {
  local process=$(pid)
  inside systemctl enable tokend.service
  inside dpkg --remove tokend
  inside test -s /var/lib/tokend/state.db
  inside test -s /etc/tokend/tokend.toml
  not inside test -e "/proc/$process"
}

purged() {
  # What the operator made is the operator's.
  inside rm -r /etc/systemd/system/tokend.service.d
  inside dpkg --purge tokend
  inside find / -xdev -name '*tokend*' -print | tee "$cache/left"
  [ ! -s "$cache/left" ]
  not inside test -e /run/tokend
  not inside getent passwd tokend
  not inside getent group tokend
}

without_systemd() {
  local bare=$cache/bare
  rm -rf "$bare"
  cp -a "$base" "$bare"
  cp "$deb" "$bare/root/current.deb"
  says "there is no systemd that would run it" chroot "$bare" dpkg --install /root/current.deb
  fails_with 78 chroot "$bare" setpriv --reuid tokend --regid tokend --init-groups tokend check
  chroot "$bare" dpkg --purge tokend
}

without_systemd_from_rpm() {
  local bare=$PWD/$cache/bare
  # Not Debian's way: what the RPM needs is there, but not as an RPM.
  says "there is no systemd that would run it" rpm --root "$bare" --nodeps --install "$PWD/$rpm"
  chroot "$bare" getent passwd tokend
  fails_with 78 chroot "$bare" setpriv --reuid tokend --regid tokend --init-groups tokend check
  rpm --root "$bare" --erase tokend
  not test -e "$bare/usr/bin/tokend"
}
