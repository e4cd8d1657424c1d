# Mean processor time of lme4's fit in each cell of the grid of design_study_grid.py, in ms.
suppressMessages(library(lme4))
n <- as.integer(commandArgs(TRUE)[1])
subjects <- eval(parse(text = commandArgs(TRUE)[2]))
items <- eval(parse(text = commandArgs(TRUE)[3]))
set.seed(1)
for (S in subjects) for (I in items) {
  d <- expand.grid(x = c(-.5, .5), word = factor(1:I), who = factor(1:S))
  spent <- 0
  for (k in 1:n) {
    z <- matrix(rnorm(2 * S), S)
    u <- matrix(rnorm(2 * I), I)
    d$rt <- 500 + 30 * d$x + 60 * z[d$who, 1] + (6 * z[d$who, 1] + 19.08 * z[d$who, 2]) * d$x +
      30 * u[d$word, 1] + 15 * u[d$word, 2] * d$x + 100 * rnorm(nrow(d))
    began <- proc.time()
    m <- suppressMessages(suppressWarnings(lmer(rt ~ x + (x | who) + (x | word), d)))
    took <- proc.time() - began
    spent <- spent + took[["user.self"]] + took[["sys.self"]]
  }
  cat(S, I, 1000 * spent / n, "\n")
}
