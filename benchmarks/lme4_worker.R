# lme4 in its own process, told by peers.py through stdin what to do.
#
#   Rscript lme4_worker.R KIND FOLDER     KIND: "default", "no derivatives" or "pbkrtest"
#
# The commands and replies are those of python_worker.py. The clock is read inside R around
# one call of lmer(), refit(), confint() or PBmodcomp(), after R has been warmed up; data,
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
  if (dataset != "million") return(get(dataset, "package:lme4"))
  codes <- read_numbers("million_g.i32", "integer", 4) + 1L
  data.frame(
    y = read_numbers("million_y.f64", "double", 8),
    x = read_numbers("million_x.f64", "double", 8),
    g = structure(codes, levels = as.character(seq_len(max(codes))), class = "factor")
  )
}

prepare <- function(task, dataset, formula, small = "") {
  state$task <- task
  state$rows <- load_rows(dataset)
  state$formula <- as.formula(formula, env = globalenv())
  if (small != "") state$small <- as.formula(small, env = globalenv())
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
  if (state$task == "fit") return(function() lmer(formula, rows, control = control))
  if (state$task == "refit") {
    y <- state$responses[, number %% ncol(state$responses) + 1]
    return(function() refit(state$fitted, y))
  }
  fitted_by <- function(formula) eval(substitute(lmer(f, rows), list(f = formula)), globalenv())
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
  seconds <- criteria <- answers <- numeric()
  invisible(gc())
  for (call in calls) {
    start <- Sys.time()
    found <- if (after_fit) suppressMessages(suppressWarnings(call())) else call()
    seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
    if (!after_fit) criteria <- c(criteria, REMLcrit(found))
    if (state$task == "pb_test") answers <- c(answers, found$test["PBtest", "p.value"])
    if (state$task %in% c("bootstrap", "profile")) answers <- c(answers, t(found))
  }
  reply(seconds = I(seconds), criteria = I(criteria), answers = I(answers))
}

first_call <- function() {
  fit <- lmer(state$formula, state$rows, control = control)
  reply(criterion = as.numeric(REMLcrit(fit)), peak_kb = memory_kb("VmHWM"))
}

converse(list(hello = hello, prepare = prepare, turn = turn, first = first_call))
