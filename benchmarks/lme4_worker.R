# lme4 in its own process, told by peers.py through stdin what to do.
#
#   Rscript lme4_worker.R KIND FOLDER     KIND: "default", "no derivatives" or "pbkrtest"
#
# The commands and replies are those of python_worker.py. The clock is read inside R around
# one call of lmer(), glmer(), refit(), confint() or PBmodcomp(), after R has been warmed up; data,
# formula, models fitted before and garbage collection come before the clock starts.

arguments <- commandArgs(trailingOnly = TRUE)
kind <- arguments[1]
folder <- arguments[2]
suppressPackageStartupMessages({
  if (kind == "pbkrtest") library(pbkrtest)
  library(lme4)
})
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "conversation.R"))
control <- if (kind == "no derivatives") lmerControl(calc.derivs = FALSE) else lmerControl()
state <- new.env()

hello <- function() {
  blas <- normalizePath(extSoftVersion()[["BLAS"]], mustWork = FALSE)
  reply(
    version = as.character(packageVersion(if (kind == "pbkrtest") "pbkrtest" else "lme4")),
    r = paste(R.version$major, R.version$minor, sep = "."),
    blas = blas,
    openblas = grepl("openblas", blas, ignore.case = TRUE)
  )
}

read_numbers <- function(name, what, size) {
  path <- file.path(folder, name)
  readBin(path, what, n = file.size(path) / size, size = size)
}

load_rows <- function(dataset) {
  listed <- file.path(folder, paste0(dataset, ".columns"))
  if (file.exists(listed)) {
    own <- setNames(strsplit(readLines(listed), " ", fixed = TRUE), c("numbers", "factors"))
    file_of <- function(name, ending) paste0(dataset, "_", name, ending)
    rows <- data.frame(lapply(
      setNames(own$numbers, own$numbers), function(n) read_numbers(file_of(n, ".f64"), "double", 8)
    ))
    for (name in own$factors) {
      codes <- read_numbers(file_of(name, ".i32"), "integer", 4) + 1L
      rows[[name]] <- structure(codes, levels = as.character(seq_len(max(codes))), class = "factor")
    }
    return(rows)
  }
  rows <- get(dataset, "package:lme4")
  if (dataset == "cbpp") rows$healthy <- rows$size - rows$incidence
  if (dataset == "VerbAgg") rows$yes <- as.integer(rows$r2 == "Y")
  rows
}

# The fit of a formula to rows: by REML, of another family than the Gaussian by Laplace.
fit <- function(formula, rows) {
  if (state$family == "gaussian") return(lmer(formula, rows, control = control))
  glmer(formula, rows, family = state$family)
}

criterion <- function(fitted) {
  if (state$family == "gaussian") REMLcrit(fitted) else as.numeric(-2 * logLik(fitted))
}

prepare <- function(task, dataset, formula, family, small) {
  state$task <- task
  state$family <- family
  state$rows <- load_rows(dataset)
  state$formula <- as.formula(formula, env = globalenv())
  if (small != "-") state$small <- as.formula(small, env = globalenv())
  assign("rows", state$rows, envir = globalenv())  # where update() and refitting look for them
  if (task == "refit") {
    state$fitted <- lmer(state$formula, state$rows, control = control)
    state$responses <- matrix(read_numbers("responses.f64", "double", 8), nrow(state$rows))
  }
  invisible(gc())
  reply(rss_kb = memory_kb("VmRSS"))
}

# The call of a task as a function of its number; all it needs is made here, before the clock.
call_of <- function(number) {
  formula <- state$formula
  rows <- state$rows
  if (state$task == "fit") return(function() fit(formula, rows))
  if (state$task == "refit") {
    y <- state$responses[, number %% ncol(state$responses) + 1]
    return(function() refit(state$fitted, y))
  }
  lme4_call <- if (state$family == "gaussian") {
    quote(lmer(f, rows))
  } else {
    quote(glmer(f, rows, family = d))
  }
  fitted_by <- function(formula) {
    eval(do.call(substitute, list(lme4_call, list(f = formula, d = state$family))), globalenv())
  }
  set.seed(number)
  model <- fitted_by(formula)
  switch(state$task,
    bootstrap = function() confint(model, method = "boot", nsim = 500, oldNames = FALSE),
    profile = function() confint(model, method = "profile", oldNames = FALSE),
    pb_test = {
      small <- fitted_by(state$small)
      function() PBmodcomp(model, small, nsim = 1000)
    }
  )
}

turn <- function(first, count) {
  calls <- lapply(as.integer(first) + seq_len(as.integer(count)) - 1, call_of)
  after_fit <- !state$task %in% c("fit", "refit")
  seconds <- processor <- criteria <- answers <- numeric()
  invisible(gc())
  for (call in calls) {
    used <- sum(proc.time()[1:2])
    start <- Sys.time()
    found <- if (after_fit) suppressMessages(suppressWarnings(call())) else call()
    seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
    processor <- c(processor, sum(proc.time()[1:2]) - used)
    if (!after_fit) criteria <- c(criteria, criterion(found))
    if (state$task == "pb_test") answers <- c(answers, found$test["PBtest", "p.value"])
    if (state$task %in% c("bootstrap", "profile")) answers <- c(answers, t(found))
  }
  reply(
    seconds = I(seconds), processor = I(processor), criteria = I(criteria), answers = I(answers)
  )
}

first_call <- function() {
  found <- fit(state$formula, state$rows)
  reply(criterion = as.numeric(criterion(found)), peak_kb = memory_kb("VmHWM"))
}

converse(list(hello = hello, prepare = prepare, turn = turn, first = first_call))
