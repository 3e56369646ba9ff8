# What Debian 12 and 13 have to bring along. Sourced by run and check.
# shellcheck shell=bash

build_packages=(
  g++ cmake ninja-build pkg-config ccache mold
  libcaf-dev libboost-dev nlohmann-json3-dev libssl-dev libsqlite3-dev
  libspdlog-dev libcli11-dev libtomlplusplus-dev libsodium-dev libutf8proc-dev prometheus-cpp-dev
  libhowardhinnant-date-dev tzdata ca-certificates
)
test_packages=(catch2 clang-format-19 clang-19 libclang-rt-19-dev git curl)
long_packages=(clang-tidy-19 llvm-19) # the second names the lines that a sanitizer found
browser_packages=(chromium)

# Installs those of its arguments that are not there yet; says nothing and does nothing when all are.
install_packages() {
  local package missing=()
  for package in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing, and only root can install them: ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo -n)
    sudo -n true 2>/dev/null || as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null 2>&1 && return 0
  # The lists of packages may be absent or old.
  "${apt[@]}" update </dev/null >/dev/null || return 1
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# How many compilers may run at a time: one for each core, as far as memory goes.
build_jobs() {
  local cores kib_free bound
  local kib_each=1500000 # the largest files include Boost.Beast
  cores=$(nproc)
  kib_free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  bound=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  [[ "$bound" =~ ^[0-9]+$ ]] && ((bound / 1024 < kib_free)) && kib_free=$((bound / 1024))
  local by_memory=$((kib_free / kib_each))
  local jobs=$((cores < by_memory ? cores : by_memory))
  echo $((jobs > 1 ? jobs : 1))
}
