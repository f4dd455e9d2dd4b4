# shellcheck shell=bash
MG_LIB=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=scripts/lib/common.sh
source "$MG_LIB/common.sh"
# shellcheck source=scripts/lib/tools.sh
source "$MG_LIB/tools.sh"
# shellcheck source=scripts/lib/postgres.sh
source "$MG_LIB/postgres.sh"
# shellcheck source=scripts/lib/cluster.sh
source "$MG_LIB/cluster.sh"
