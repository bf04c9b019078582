# The README's commands. Everything that they need beyond Python >= 3.11 is put into .tools/ and .venv/ by them.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := .tools/bin/uv
PYTEST_WORKERS ?= auto
# behind a proxy with an authority of its own, the system knows it and the authorities that come with uv do not
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif

.PHONY: install install-dev run test check bench soak format lock clean

install: .venv/.installed
install-dev: .venv/.installed-dev

run: install
	$(BIN)/smtpeter serve --dev --data-dir data

test: install-dev
	tests/counterparts.sh
	$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS)

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -p no:randomly tests/test_house.py

bench: install
	$(BIN)/python -m bench

# an hour and some minutes; SOAK_MINUTES=5 shortens the run that watches memory, files and threads
soak: install-dev
	tests/counterparts.sh
	$(BIN)/python -m pytest -q -s --timeout 3600 -m soak tests

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV)
	$(UV) pip compile -q --universal --no-header --no-annotate --generate-hashes --python-version 3.11 pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --no-header --no-annotate --generate-hashes --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it and run make again."; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "installing pip with the system's package manager"; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -qy python3-pip; else sudo apt-get update -q && sudo apt-get install -qy python3-pip; fi; }
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install -q --disable-pip-version-check --target .tools uv

.venv/.created: | $(UV)
	$(UV) venv -q --allow-existing --python "$$(command -v $(PYTHON))" .venv
	@touch $@

.venv/.installed: pyproject.toml requirements.lock .venv/.created
	$(UV) pip install -q --require-hashes -r requirements.lock
	$(UV) pip install -q --no-deps -e .
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	$(UV) pip install -q --require-hashes -r requirements-dev.lock
	@touch $@
