# Makes the user. Nothing is started; $1 is 1 at the first installation.
if command -v systemd-sysusers >/dev/null; then
  systemd-sysusers tokend.conf || :
elif ! getent passwd tokend >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/tokend --no-create-home --shell /usr/sbin/nologin tokend || :
fi
if [ "$1" -eq 1 ]; then
  chgrp tokend /etc/tokend && chmod 0750 /etc/tokend || :
fi
if [ -d /run/systemd/system ]; then
  systemd-tmpfiles --create tokend.conf || :
  systemctl --system daemon-reload || :
  if [ "$1" -eq 1 ]; then
    echo "tokend is installed and not started. Write a token into /etc/tokend/tokend.toml, then:"
    echo "  tokend check && systemctl enable --now tokend"
  fi
elif [ "$1" -eq 1 ]; then
  echo "tokend is installed, and there is no systemd that would run it. Write a token into /etc/tokend/tokend.toml, then:"
  echo "  tokend check && install -d -o tokend -g tokend /run/tokend && install -d -o tokend -g tokend -m 0700 /var/lib/tokend &&"
  echo "  STATE_DIRECTORY=/var/lib/tokend RUNTIME_DIRECTORY=/run/tokend \\"
  echo "    setpriv --reuid tokend --regid tokend --init-groups tokend run"
fi
