# make demo   the main job on a real-size case, without torch     make test   everything CI runs
PYTHON ?= python3
DEMO := .venv/bin
TEST := .venv-test/bin
PIP_FLAGS := -qq --disable-pip-version-check --no-input -c constraints.txt
DEPENDENCIES := pyproject.toml constraints.txt hatch_build.py
STORY := fixtures/stories/pruned-adapter
N ?= 1025
INPUTS ?= 1000000
SEED ?=
ORACLE ?= tests/oracle/sample
ONLY ?=
RELEASES ?=
METHODS ?=
TYPES ?=
HEADS ?=
LIBRARY ?=
SCALE ?=
DEVICE ?=

.PHONY: demo test lint pages oracle oracle-folds oracle-compositions leave-one-out prove-rules prove-releases prove-hub hub-agreement differential differential-conditions differential-releases fuzz flow-sweep flow-sweep-releases families families-verify flows hook-environment action container bench hub-graphs hub-graphs-verify hub-matrix hub-plans sarif-multitool html-browser replay-oracle replay-oracle-compositions replay-sample runs bench-replay sweep-invariants prove-conversions mlx-models differential-compositions flow-edits replay-compositions clean
.SILENT:

demo: .venv/.installed
	$(DEMO)/python -m adaptlint.testing.demo $(STORY)

test: .venv-test/.installed
	$(MAKE) --no-print-directory -j2 lint .jenkins/junit-10.xsd .venv-hub/.installed
	$(TEST)/python -m pytest -n 2 --dist worksteal

lint: .venv-test/.installed
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/mypy

# the generated texts written anew: the index of rules/, the reports of the stories
pages: .venv-test/.installed
	$(TEST)/python -m pytest tests/test_house.py tests/test_stories.py -k "fresh or expected_report" --write-pages

# ORACLE=folder ONLY=regex: verdicts against recorded truth
oracle: .venv-test/.installed
	$(TEST)/python -m tests.oracle.compare $(ORACLE) --only '$(value ONLY)' --list

# the same, in three folds by architecture and by kind of case
oracle-folds: .venv-test/.installed
	$(TEST)/python -m tests.oracle.compare $(ORACLE) --only '$(ONLY)' --folds

# ORACLE=folder ONLY=regex: compositions against recorded runs of AdapterHub's library
oracle-compositions: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.oracle.compositions $(ORACLE) --only '$(value ONLY)' --list

# the same, with what was recorded of each model type hidden in turn: right or unknown, never wrong
leave-one-out: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.oracle.compositions $(ORACLE) --only '$(value ONLY)' --leave-one-out

# the rule pages' examples, each run through real PEFT
prove-rules: .venv-test/.installed
	$(TEST)/python -m pytest tests/test_rules.py tests/test_rules_by_hand.py -k "real_peft or by_hand" -rs

# ONLY=regex: the examples and stories of older releases, and those with a plan or a composition, played by those releases
# in environments of their own; writes the records
prove-releases: .venv-test/.installed
	$(TEST)/python -m tests.releases.prove $(ONLY)

# the examples about AdapterHub's library, played by its releases in environments of their own; writes the records
prove-hub: .venv-test/.installed
	$(TEST)/python -m tests.hub.prove

# BASES=folder EVERY=n: adapters made by each release of AdapterHub's library, broken, loaded again, and
# held against the verdicts
hub-agreement: .venv-test/.installed
	$(TEST)/python -m tests.hub.compare $(BASES) $(or $(EVERY),10)

# RELEASES="1.2.0" N=60 SEED=n: compositions drawn by chance, each run by the real library and held against the verdict
hub-matrix: N = 60
hub-matrix: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.hub.matrix $(RELEASES) --n $(N) $(if $(SEED),--seed $(SEED))

# the same for plans: steps that generate or train after a forward that works
hub-plans: N = 60
hub-plans: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.hub.matrix_plans $(RELEASES) --n $(N) $(if $(SEED),--seed $(SEED))

# INPUTS=1000000: random bytes, headers, configs and patterns, each answered within a second and 300 MB
fuzz: .venv-test/.installed
	FUZZ_EXAMPLES=$$(( $(INPUTS) / 4 )) $(TEST)/python -m pytest tests/fuzz -x -n auto

# N=1025 SEED=n: verdicts against real PEFT on adapters made on the spot, each method on 25 architectures
differential: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.differential.run --n $(N) $(if $(SEED),--seed $(SEED))

# N=300 SEED=n: forwards under a backend, sizes and a mask
differential-compositions: N = 300
differential-compositions: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.differential.composing --n $(N) $(if $(SEED),--seed $(SEED))

differential-conditions: N = 300
differential-conditions: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.differential.conditions --n $(N) $(if $(SEED),--seed $(SEED))

# N=100 SEED=n RELEASES="0.14.0" METHODS="LORA IA3": the same for older releases, each in an environment of its own
differential-releases: N = 100
differential-releases: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.differential.releases $(RELEASES) --n $(N) --methods '$(METHODS)' $(if $(SEED),--seed $(SEED))

# ORACLE=folder N=200 SEED=1 SCALE=tiny: flagged recorded cases run again; true findings are confirmed, planted ones refuted
replay-oracle: N = 200
replay-oracle: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.oracle $(ORACLE) --n $(N) $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE))

# ORACLE=folder N=200 SEED=1: the same for compositions, each release of AdapterHub's library in its environment
replay-oracle-compositions: N = 200
replay-oracle-compositions: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.compositions $(ORACLE) --n $(N) $(if $(SEED),--seed $(SEED))

# N=60 SEED=n: compositions in PEFT, drawn by chance, checked and replayed
replay-compositions: N = 60
replay-compositions: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.composing --n $(N) $(if $(SEED),--seed $(SEED))

# ORACLE=folder N=200 SEED=1: one sample over both, ORACLE holding peft/ and composition/
replay-sample: N = 200
replay-sample: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.sample $(ORACLE) --n $(N) $(if $(SEED),--seed $(SEED))

# ONLY=regex DEVICE=cuda: the founding stories replayed by the releases that they are about; writes fixtures/runs
runs: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.stories --only '$(value ONLY)' $(if $(DEVICE),--device $(DEVICE))

# LIBRARY=peft ONLY=regex METHODS=lora,dora: the invariants over every architecture; without them writes docs/found-in-the-wild.md
sweep-invariants: METHODS = lora
sweep-invariants: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.replay.wild --library '$(LIBRARY)' --only '$(value ONLY)' --methods '$(METHODS)'

# every model type of the installed transformers: its forward recorded and run again; writes docs/dataflow.md
flow-sweep: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.dataflow.sweep --write

# RELEASES="4.51.3": a sample of it on older releases of transformers, each in an environment of its own
flow-sweep-releases: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.dataflow.releases $(RELEASES)

# N=40 SEED=n: small models cut, widened, replicated and prefixed by chance, each told and each run
flow-edits: N = 40
flow-edits: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.dataflow.edits --n $(N) $(if $(SEED),--seed $(SEED))

# TYPES="llama t5": the shipped tables learnt anew from live builds; all model types without TYPES
families: .venv-test/.installed
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(TEST)/python -W ignore -m tests.families.record $(TYPES) --write
	$(TEST)/python -m pytest tests/test_house.py -k "fresh and families" --write-pages

# TYPES="llama t5": the shipped graphs of their forwards, learnt anew under every attention backend
flows: .venv-test/.installed
	OMP_NUM_THREADS=1 $(TEST)/python -W ignore -m tests.families.flows $(TYPES) --write
	$(TEST)/python -m pytest tests/test_house.py -k "fresh and families" --write-pages

# every shipped table against live builds, and every shipped graph against live recordings, of fresh configs
families-verify: .venv-test/.installed
	FAMILIES=all $(TEST)/python -m pytest tests/families

# RELEASES="1.3.0" TYPES="llama t5" HEADS=1: the graphs of models wrapped by AdapterHub learnt anew, each release in its
# environment; with HEADS those of classes with a head, beside the bare models'
hub-graphs: .venv-test/.installed
	$(TEST)/python -m tests.hub.graph_releases record $(TYPES) $(if $(RELEASES),--releases $(RELEASES)) $(if $(HEADS),--heads)

# the same tables against recordings of fresh configs
hub-graphs-verify: .venv-test/.installed
	$(TEST)/python -m tests.hub.graph_releases verify $(TYPES) $(if $(RELEASES),--releases $(RELEASES)) $(if $(HEADS),--heads)

# the HTML report in a real browser, every screen and colour scheme; writes docs/screenshots. CHROMIUM=path names another one
html-browser: .venv-test/.installed
	command -v chromium >/dev/null || test -n "$(CHROMIUM)" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }
	HTML_BROWSER=all $(if $(CHROMIUM),CHROMIUM=$(CHROMIUM)) $(TEST)/python -m pytest tests/reporters/test_html_browser.py -rs

# Microsoft's validator of SARIF, with GitHub's rules; the tests ask it too once it is there; needs npm
sarif-multitool: .node/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool .venv-test/.installed
	$(TEST)/python -m pytest tests/reporters/test_sarif.py -k multitool -rs

.node/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool:
	npm install --silent --no-save --prefix .node @microsoft/sarif-multitool-linux@5.7.0
	chmod +x $@

# the published pre-commit hook in the environment that pre-commit builds for it with pip
hook-environment: .venv-test/.installed
	HOOK_ENVIRONMENT=1 $(TEST)/python -m pytest tests/hooks -k published

# action.yml run by a real runner of workflows (nektos/act, on this machine), its installation included
action: .venv-test/.installed
	ACTION=1 $(TEST)/python -m pytest tests/test_github_runner.py

# docs/Dockerfile built by buildah on Debian's own Python, and run by podman; needs root and apt; 3 minutes the first time
container: .container/python.tar .venv-test/.installed
	{ command -v buildah && command -v podman && command -v runc; } >/dev/null || apt-get install -y -qq --no-install-recommends buildah podman runc
	CONTAINER=1 $(TEST)/python -m pytest tests/test_container.py -rs

.container/python.tar:
	command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap; }
	mkdir -p .container
	debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm .container/root
	tar -C .container/root -cf $@.part . && mv $@.part $@ && rm -rf .container/root

# converted adapters opened by AdapterHub's library, mlx_lm and diffusers, each in an environment of its own
prove-conversions: .venv-test/.installed
	CONSUMERS=1 $(TEST)/python -W ignore -m pytest tests/repair/test_consumers.py -rs

# TYPES="llama qwen3": which models are called the same in mlx_lm; writes adaptlint/repair/mlx_models.toml
mlx-models: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.repair.consumers.mlx_models $(TYPES)

bench: .venv-test/.installed
	$(TEST)/python -m tests.bench.run

# the replay of a healthy LoRA of Llama-3-8B, one layer on the CPU, beside its bars
bench-replay: .venv-test/.installed
	$(TEST)/python -W ignore -m tests.bench.replay

.venv/.installed: $(DEPENDENCIES)
	$(PYTHON) -m venv .venv
	$(DEMO)/pip install $(PIP_FLAGS) -e .
	$(DEMO)/python -m compileall -q adaptlint
	touch $@

.venv-test/.installed: $(DEPENDENCIES)
	$(PYTHON) -m venv .venv-test
	$(TEST)/pip install -qq --disable-pip-version-check "pip>=25.1"
	$(TEST)/pip install $(PIP_FLAGS) -e '.[models,hub]' --group lint --group test
	touch $@

# the schema of Jenkins' xunit plugin, which pytest's own sources bring along
.jenkins/junit-10.xsd: | .venv-test/.installed
	{ $(TEST)/pip download $(PIP_FLAGS) --no-deps --no-binary pytest -d .jenkins pytest && \
	tar -xzf .jenkins/pytest-*.tar.gz -C .jenkins --strip-components=3 --wildcards '*/testing/example_scripts/junit-10.xsd' && \
	touch $@; } || echo "Jenkins' schema of JUnit files could not be fetched; the test that needs it is skipped"

# the newest release of AdapterHub's library, which borrows torch and more from .venv-test
.venv-hub/.installed: adaptlint/replay/environments.toml | .venv-test/.installed
	{ $(TEST)/python -m tests.environments .venv-hub && touch $@; } || \
	echo "AdapterHub's library could not be fetched; the tests that run it are skipped"

clean:
	rm -rf .venv .jenkins .venv-hub .venv-test .node .mypy_cache .ruff_cache .pytest_cache .differential .demo
