#!/bin/bash
# Gives one service a version and restarts it: restart.sh FOLDER VERSION
# The version before is kept beside it, and `restart.sh FOLDER back` returns to it.
set -euo pipefail
cd "$1"

case $2 in
  back)
    [[ -f version.before ]] || { echo "was not touched"; exit 0; }
    mv version.before version
    ;;
  *)
    [[ -f version.before ]] || cp version version.before
    echo "$2" >version
    ;;
esac

touch restart
for ((tries = 0; tries < 200; tries++)); do
  [[ -e restart ]] || { echo "restarted as $(<version), pid $(<pid)"; exit 0; }
  sleep 0.05
done
echo "the machine does not answer" >&2
exit 1
