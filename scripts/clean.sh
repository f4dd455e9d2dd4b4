#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
(cd "$ROOT" && cargo clean)
rm -rf "$MG_HOME"
