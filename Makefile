# Every target sets up .venv by itself (a minute the first time, nothing after that).
# It needs a Python >= 3.12; .ci/find-python looks for one and otherwise says so.

BIN := .venv/bin
READY := .venv/.ready
# What builds the site comes when it is first wanted, and leaves the locked packages as they are.
DOCS_PACKAGES = $(BIN)/python -m pip install -qq --disable-pip-version-check \
	--constraint requirements.lock furo latex2mathml myst-parser sphinx sphinx-copybutton

.PHONY: tour gallery tutorials docs docs-tables test test-kernels lint bench lab

tour: $(READY)
	@$(BIN)/hierbayes tour --out out

gallery: $(READY)
	@$(BIN)/hierbayes gallery --out out/gallery

tutorials: $(READY)
	@$(DOCS_PACKAGES)
	@$(BIN)/python -m docs.site.build out/tutorials --tutorials

docs: $(READY)
	@$(DOCS_PACKAGES)
	@$(BIN)/python -m docs.site.build out/docs

docs-tables: $(READY)
	@mkdir -p docs
	@$(BIN)/python -c "from hierbayes import capabilities; print(capabilities.markdown(), end='')" \
		> docs/supported.md
	@$(BIN)/python -c "from hierbayes import spellings; print(spellings.markdown(), end='')" \
		> docs/spellings.md

test: $(READY)
	@$(BIN)/python tests/fill_numba_cache.py
	@$(BIN)/pytest -q -n 2 --dist worksteal

test-kernels: $(READY)
	@$(BIN)/python tests/kernels.py

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy hierbayes

bench: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--constraint requirements.lock glmm mixedlm statsmodels
	@$(BIN)/python benchmarks/run.py

lab: $(READY)
	@$(BIN)/hierbayes lab

$(READY): requirements.lock pyproject.toml .ci/find-python
	@python=$$(.ci/find-python) && echo "Setting up .venv with $$python" && \
	"$$python" -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@
