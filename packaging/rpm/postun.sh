# $1 is 0 when it was removed, 1 when it was upgraded. A restart asks no provider for anything.
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload || :
  if [ "$1" -ge 1 ]; then
    systemctl try-restart tokend.service || :
  fi
fi
