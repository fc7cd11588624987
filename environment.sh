# Sourced by run.sh: finds a Python, makes .venv and installs requirements once per change of them.

# Prints the Python to use; everything else goes to stderr.
environment_python() {
  local home=$1; shift
  if [ -n "${NO_VENV:-}" ]; then
    echo "${PYTHON:-python3}"
    return
  fi
  if [ -n "${COLAB_RELEASE_TAG:-}" ]; then
    _install_once python3 "$home/.colab-installed" "$@" || return
    echo python3
    return
  fi
  local venv="$home/.venv"
  if [ ! -f "$venv/made" ]; then
    local base
    base=$(_supported_python) || return
    echo "run.sh: making .venv with $base (once)" >&2
    "$base" -m venv --clear "$venv" && touch "$venv/made" || return
  fi
  _install_once "$venv/bin/python" "$venv/installed" "$@" || return
  echo "$venv/bin/python"
}

# The stamp is written last, so that an interrupted installation is repeated.
_install_once() {
  local python=$1 stamp=$2 file sum; shift 2
  for file in "$@"; do
    sum=$(cksum <"$file")
    grep -qsxF "$(basename "$file") $sum" "$stamp" && continue
    echo "run.sh: installing $(basename "$file") (a few minutes, once)" >&2
    "$python" -m pip install --quiet --disable-pip-version-check -r "$file" >&2 || {
      echo "run.sh: installation failed; see the lines above, then run the same command again" >&2
      return 1
    }
    echo "$(basename "$file") $sum" >>"$stamp"
  done
}

_supported_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.10 python3; do
    if "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "run.sh: no Python 3.10 to 3.13 found; install one, or set PYTHON=/path/to/python" >&2
  return 2
}
