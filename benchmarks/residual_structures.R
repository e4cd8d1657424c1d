# Fits of correlated residuals and of unequal variance by nlme, timed one call at a time.
#
# residual_structures.py starts it and asks: "fit <case> <calls>".

arguments <- commandArgs(FALSE)
here <- dirname(sub("^--file=", "", grep("^--file=", arguments, value = TRUE)))
source(file.path(here, "conversation.R"))
suppressPackageStartupMessages(library(nlme))
folder <- commandArgs(TRUE)[1]
ovary <- read.csv(file.path(folder, "ovary.csv"))
orthodont <- read.csv(file.path(folder, "orthodont.csv"))
for (name in c("Subject", "Sex")) orthodont[[name]] <- factor(orthodont[[name]])
ovary$Mare <- factor(ovary$Mare)

cycle <- follicles ~ sin(2 * pi * Time) + cos(2 * pi * Time)
growth <- distance ~ age * Sex
ar1 <- function() corAR1(form = ~ occasion | Mare)
cs <- function() corCompSymm(form = ~ 1 | Subject)
ident <- function() varIdent(form = ~ 1 | Sex)
cases <- list(
  "ovary-gls" = function() gls(cycle, ovary, correlation = ar1()),
  "ovary-lme" = function() lme(cycle, ovary, random = ~ 1 | Mare, correlation = ar1()),
  "orthodont-gls-cs" = function() gls(growth, orthodont, correlation = cs()),
  "orthodont-gls-sex" = function() gls(growth, orthodont, weights = ident()),
  "orthodont-gls-both" =
    function() gls(growth, orthodont, correlation = cs(), weights = ident()),
  "orthodont-lme" = function() lme(growth, orthodont, random = ~ 1 | Subject, weights = ident()),
  "orthodont-lme-slopes" =
    function() lme(growth, orthodont, random = ~ age | Subject, weights = ident())
)

converse(list(fit = function(case, calls) {
  for (i in seq_len(as.integer(calls))) fit <- cases[[case]]()
  before <- proc.time()
  for (i in seq_len(as.integer(calls))) fit <- cases[[case]]()
  spent <- proc.time() - before
  reply(processor = (spent[[1]] + spent[[2]]) / as.integer(calls),
        seconds = spent[[3]] / as.integer(calls), criterion = as.numeric(-2 * logLik(fit)))
}))
