# Every target sets up what it needs in .venv; nothing is installed outside it, except Debian's chromium for
# the browser tests when it is missing and we may.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SOURCES := optout trainer registry api workers config demo benchmarks tests manage.py

.DEFAULT_GOAL := help
.PHONY: help demo run test lint format bench bench-gpu robustness screenshots openapi wheel clean

help:  ## Print this help
	@printf 'Optout Registry\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/.run: .venv/pyvenv.cfg requirements.txt pyproject.toml
	@echo "Installing what the service needs (a minute or two, once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/checkout.pth"  # the trainer too
	@echo "Compiling the kernels (half a minute, once) …"
	@$(BIN)/python -m optout.warm
	@touch $@

.venv/.dev: .venv/.run requirements-dev.txt
	@echo "Installing what the tests need (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/.img2dataset: .venv/pyvenv.cfg requirements-img2dataset.txt
	@echo "Installing img2dataset into .venv/img2dataset (half a minute, once) …"
	@$(PYTHON) -m venv --clear --without-pip .venv/img2dataset
	@$(BIN)/pip --python .venv/img2dataset install --quiet --disable-pip-version-check --no-deps --no-compile \
		-r requirements-img2dataset.txt
	@touch $@

demo: .venv/.run  ## Watch the whole story: claims, filters, receipts, a model (ONCE=1 exits, DATA=some.parquet uses yours)
	@$(BIN)/python -m demo $(if $(ONCE),--once) $(if $(DATA),--data "$(DATA)")

run: .venv/.run  ## Start the registry on this machine; nothing to configure
	@$(BIN)/python manage.py serve

test: .venv/.dev .venv/.img2dataset  ## Run every test: unit, command, server, browser, end to end
	@deploy/ensure-chromium
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Loading the settings makes folders and secrets; not in the data of the registry for these two.
lint openapi: export OPTOUT_DATA := $(CURDIR)/.venv/settings
lint: .venv/.dev  ## Check style, types, import directions, templates, migrations and the OpenAPI file
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/mypy $(SOURCES)
	$(BIN)/djade --target-version 5.2 --check $$(git ls-files 'templates/*.html')
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file .venv/openapi.yaml
	diff -u docs/openapi.yaml .venv/openapi.yaml

format: .venv/.dev  ## Rewrite the code in house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

openapi: .venv/.run  ## Write docs/openapi.yaml anew
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: .venv/.dev  ## Measure speed against peers in the same run (about 15 minutes; PART=locators runs one part)
	@$(BIN)/python -m benchmarks $(PART)

bench-gpu: .venv/.dev  ## Measure CLIP and exact matching on a GPU against clip-anytorch (about 3 minutes)
	@$(BIN)/python -m benchmarks.embeddings_gpu

robustness: .venv/.dev  ## Edit pictures in every way, look them up, write docs/robustness.md (about 2 minutes)
	@$(BIN)/python -m benchmarks.robustness

screenshots: .venv/.dev  ## Take pictures of every page into test-results/
	@deploy/ensure-chromium
	$(BIN)/python -m tests.browser.shots

wheel: .venv/.dev  ## Build the installable optout distribution into dist/
	$(BIN)/python -m build --wheel

clean:  ## Remove caches and built files; the data in var/ stays
	rm -rf build dist test-results *.egg-info .mypy_cache .ruff_cache .pytest_cache staticfiles
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
