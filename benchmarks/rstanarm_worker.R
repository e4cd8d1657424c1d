# rstanarm in its own process, told by posteriors.py through stdin what to do.
#
#   Rscript rstanarm_worker.R FOLDER
#
# The commands and replies are those of posterior_worker.py. Chains run on all cores.

folder <- commandArgs(trailingOnly = TRUE)[1]
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "conversation.R"))
state <- new.env()

draw <- function(seed) {
  suppressMessages(suppressWarnings(stan_lmer(
    state$formula, state$rows, chains = state$chains, iter = 1000 + state$draws, warmup = 1000,
    cores = parallel::detectCores(), seed = seed, refresh = 0
  )))
}

hello <- function() {
  r <- paste(R.version$major, R.version$minor, sep = ".")
  reply(version = paste(packageVersion("rstanarm"), "in R", r))
}

first_call <- function(seed, dataset, factors, formula, chains, draws, family) {  # gaussian only
  suppressPackageStartupMessages(library(rstanarm))
  state$rows <- read.csv(file.path(folder, paste0(dataset, ".csv")))
  for (name in strsplit(factors, ",")[[1]]) state$rows[[name]] <- factor(state$rows[[name]])
  state$formula <- as.formula(formula, env = globalenv())
  state$chains <- as.integer(chains)
  state$draws <- as.integer(draws)
  state$fit <- draw(as.integer(seed))
  reply(peak_kb = memory_kb("VmHWM"))
}

turn <- function(first, count) {
  seconds <- numeric()
  for (number in as.integer(first) + seq_len(as.integer(count)) - 1) {
    invisible(gc())
    start <- Sys.time()
    state$fit <- draw(number)
    seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
  }
  reply(seconds = I(seconds))
}

effective <- function() {  # of variances and covariances: ranks, and so sizes, of sds are the same
  draws <- as.array(state$fit$stanfit)
  names <- dimnames(draws)[[3]]
  kept <- !grepl("_NEW_|^mean_PPD$|^log-posterior$", names)
  sizes <- apply(draws[, , kept, drop = FALSE], 3, rstan::ess_bulk)
  is_effect <- grepl("^b\\[", names[kept])
  reply(parameters = min(sizes[!is_effect]), all = min(sizes))
}

converse(list(hello = hello, first = first_call, turn = turn, effective = effective))
