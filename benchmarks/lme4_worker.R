# lme4 in its own process, told by peers.py through stdin what to do.
#
#   Rscript lme4_worker.R DERIVATIVES FOLDER     DERIVATIVES: "default" or "none"
#
# The commands and replies are those of python_worker.py. The clock is read inside R around
# one call of lmer() or refit(), after R has been warmed up; data, formula and garbage
# collection come before the clock starts.

suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[2]
control <- if (arguments[1] == "none") lmerControl(calc.derivs = FALSE) else lmerControl()
state <- new.env()

reply <- function(...) {  # one JSON object; a value inside I() is an array
  values <- list(...)
  text <- vapply(values, function(v) {
    if (is.character(v)) return(dQuote(v, FALSE))
    text <- if (is.logical(v)) tolower(v) else sprintf("%.17g", v)
    if (inherits(v, "AsIs")) paste0("[", paste(text, collapse = ", "), "]") else text
  }, "")
  cat("@@", "{", paste0('"', names(values), '": ', text, collapse = ", "), "}\n", sep = "")
  flush(stdout())
}

memory_kb <- function(field) {  # VmRSS now, VmHWM at the peak; NA where there is no /proc
  if (!file.exists("/proc/self/status")) return(-1)
  line <- grep(paste0("^", field), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line))
}

hello <- function() {
  blas <- normalizePath(extSoftVersion()[["BLAS"]], mustWork = FALSE)
  reply(
    version = as.character(packageVersion("lme4")),
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
  if (dataset == "sleepstudy") return(lme4::sleepstudy)
  if (dataset == "InstEval") return(lme4::InstEval)
  codes <- read_numbers("million_g.i32", "integer", 4) + 1L
  data.frame(
    y = read_numbers("million_y.f64", "double", 8),
    x = read_numbers("million_x.f64", "double", 8),
    g = structure(codes, levels = as.character(seq_len(max(codes))), class = "factor")
  )
}

prepare <- function(task, dataset, formula) {
  state$task <- task
  state$rows <- load_rows(dataset)
  state$formula <- as.formula(formula, env = globalenv())
  if (task == "refit") {
    state$fitted <- lmer(state$formula, state$rows, control = control)
    state$responses <- matrix(read_numbers("responses.f64", "double", 8), nrow(state$rows))
  }
  invisible(gc())
  reply(rss_kb = memory_kb("VmRSS"))
}

turn <- function(first, count) {
  formula <- state$formula
  rows <- state$rows
  is_refit <- state$task == "refit"
  numbers <- first + seq_len(count) - 1
  if (is_refit) ys <- lapply(numbers, function(i) state$responses[, i %% ncol(state$responses) + 1])
  seconds <- criteria <- numeric(count)
  invisible(gc())
  for (i in seq_len(count)) {
    start <- Sys.time()
    fit <- if (is_refit) refit(state$fitted, ys[[i]]) else lmer(formula, rows, control = control)
    seconds[i] <- as.numeric(difftime(Sys.time(), start, units = "secs"))
    criteria[i] <- REMLcrit(fit)
  }
  reply(seconds = I(seconds), criteria = I(criteria))
}

first_call <- function() {
  fit <- lmer(state$formula, state$rows, control = control)
  reply(criterion = as.numeric(REMLcrit(fit)), peak_kb = memory_kb("VmHWM"))
}

input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1)) > 0) {
  words <- strsplit(line, "\t", fixed = TRUE)[[1]]
  switch(words[1],
    hello = hello(),
    prepare = prepare(words[2], words[3], words[4]),
    turn = turn(as.integer(words[2]), as.integer(words[3])),
    first = first_call()
  )
}
