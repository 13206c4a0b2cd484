# $1 is 0 when it is removed, 1 when it is upgraded.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
  systemctl --no-reload disable --now tokend.socket tokend.service || :
fi
