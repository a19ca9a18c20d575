#!/bin/bash
# Builds one release: a Python application in a single file, its price list, and a file that says what it is.
#   build.sh FOLDER VERSION      with BROKEN=true the price list is forgotten, as happens
set -euo pipefail
folder=$(realpath -m "$1") version=$2
cd "$(dirname "$0")"

rm -rf "$folder"
mkdir -p "$folder/source"
cp -R shop "$folder/source/"
find "$folder/source" -name __pycache__ -prune -exec rm -rf {} +
cp shop/__main__.py "$folder/source/__main__.py"
python3 -m zipapp "$folder/source" --output "$folder/shop.pyz" --compress
rm -rf "$folder/source"
printf '{"version": "%s", "price_list": "prices.json"}\n' "$version" >"$folder/release.json"
[[ ${BROKEN:-false} == true ]] || cp prices.json "$folder/"
