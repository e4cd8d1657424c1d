# Reference fits of covariances with a pattern: glmmTMB and nlme, REML and ML; written as JSON.
# Run: Rscript structures.R > ../structures.json   (R 4.2.2, glmmTMB 1.1.5, nlme 3.1-162, lme4 1.1-31)
suppressMessages({library(glmmTMB); library(nlme); library(lme4); library(jsonlite)})
orthodont <- as.data.frame(nlme::Orthodont); orthodont$Subject <- factor(as.character(orthodont$Subject))
oats <- as.data.frame(nlme::Oats); machines <- as.data.frame(nlme::Machines)
oats$Block <- factor(as.character(oats$Block)); machines$Worker <- factor(as.character(machines$Worker))
data(grouseticks, package = "lme4")
frames <- list(sleepstudy = lme4::sleepstudy, Orthodont = orthodont, Machines = machines, Oats = oats,
               cake = lme4::cake, cbpp = lme4::cbpp, grouseticks = grouseticks)
of_tmb <- function(ours, data, formula, family = gaussian()) {
  one <- function(reml) {
    message(ours)
    best <- suppressWarnings(try(glmmTMB(formula, frames[[data]], REML = reml, family = family), silent = TRUE))
    if (inherits(best, "try-error") || !is.finite(best$fit$objective)) return(NULL)
    value <- 2 * best$fit$objective
    v <- VarCorr(best)$cond
    list(formula = ours, dataset = data, tool = "glmmTMB", reml = reml, family = family$family,
         criterion = value, sigma = if (family$family == "gaussian") sigma(best) else 1,
         sd = lapply(unname(v), function(s) unname(attr(s, "stddev"))),
         cor = lapply(unname(v), function(s) unname(attr(s, "correlation")[, 1])))
  }
  if (family$family == "gaussian") list(one(TRUE), one(FALSE)) else list(one(FALSE))
}
of_nlme <- function(ours, data, fixed, random) {
  one <- function(reml) {
    m <- lme(fixed, frames[[data]], random, method = if (reml) "REML" else "ML",
             control = lmeControl(maxIter = 500, msMaxIter = 500, tolerance = 1e-12, msTol = 1e-12, opt = "nlminb"))
    S <- as.matrix(m$modelStruct$reStruct[[1]]) * m$sigma^2
    list(formula = ours, dataset = data, tool = "nlme", reml = reml, family = "gaussian",
         criterion = -2 * as.numeric(logLik(m)), sigma = m$sigma, sd = list(unname(sqrt(diag(S)))),
         cor = list(unname(cov2cor(S)[, 1])))
  }
  list(one(TRUE), one(FALSE))
}
found <- c(
  of_tmb("score ~ Machine + cs(0 + Machine | Worker)", "Machines", score ~ Machine + cs(0 + Machine | Worker)),
  of_tmb("score ~ Machine + toep(0 + factor(Machine, levels = c('A', 'B', 'C'), ordered = TRUE) | Worker)", "Machines", score ~ Machine + toep(0 + Machine | Worker)),
  of_nlme("score ~ Machine + cs(0 + Machine | Worker, hom = TRUE)", "Machines", score ~ Machine,
          list(Worker = pdCompSymm(~ Machine - 1))),
  of_nlme("score ~ Machine + diag(0 + Machine | Worker, hom = TRUE)", "Machines", score ~ Machine,
          list(Worker = pdIdent(~ Machine - 1))),
  of_nlme("score ~ Machine + diag(0 + Machine | Worker)", "Machines", score ~ Machine,
          list(Worker = pdDiag(~ Machine - 1))),
  of_tmb("Reaction ~ Days + ar1(0 + factor(Days) | Subject)", "sleepstudy",
         Reaction ~ Days + ar1(0 + factor(Days) | Subject)),
  of_tmb("Reaction ~ Days + cs(Days | Subject)", "sleepstudy", Reaction ~ Days + cs(Days | Subject)),
  of_tmb("Reaction ~ Days + (1 | Subject) + ar1(0 + factor(Days) | Subject)", "sleepstudy",
         Reaction ~ Days + (1 | Subject) + ar1(0 + factor(Days) | Subject)),
  of_tmb("distance ~ age * Sex + ar1(0 + factor(age) | Subject)", "Orthodont",
         distance ~ age * Sex + ar1(0 + factor(age) | Subject)),
  of_nlme("yield ~ nitro + cs(0 + Variety | Block, hom = TRUE)", "Oats", yield ~ nitro,
          list(Block = pdCompSymm(~ Variety - 1))),
  of_tmb("yield ~ nitro + cs(0 + Variety | Block)", "Oats", yield ~ nitro + cs(0 + Variety | Block)),
  of_tmb("yield ~ nitro + toep(0 + factor(Variety, levels = c('Golden Rain', 'Marvellous', 'Victory'), ordered = TRUE) | Block)", "Oats", yield ~ nitro + toep(0 + Variety | Block)),
  of_tmb("angle ~ recipe + ar1(0 + temperature | replicate)", "cake",
         angle ~ recipe + ar1(0 + temperature | replicate)),
  of_tmb("angle ~ recipe + temp + ar1(0 + temperature | replicate) + (1 | replicate:recipe)", "cake",
         angle ~ recipe + temp + ar1(0 + temperature | replicate) + (1 | replicate:recipe)),
  of_tmb("angle ~ recipe + temp + cs(0 + recipe | replicate) + (1 | temperature)", "cake",
         angle ~ recipe + temp + cs(0 + recipe | replicate) + (1 | temperature)),
  of_tmb("angle ~ recipe + toep(0 + temperature | replicate)", "cake",
         angle ~ recipe + toep(0 + temperature | replicate)),
  of_tmb("cbind(incidence, size - incidence) ~ period + ar1(0 + period | herd)", "cbpp",
         cbind(incidence, size - incidence) ~ period + ar1(0 + period | herd), binomial()),
  of_tmb("cbind(incidence, size - incidence) ~ period + cs(0 + period | herd)", "cbpp",
         cbind(incidence, size - incidence) ~ period + cs(0 + period | herd), binomial()),
  of_tmb("TICKS ~ YEAR + cs(0 + YEAR | LOCATION) + (1 | BROOD)", "grouseticks",
         TICKS ~ YEAR + cs(0 + YEAR | LOCATION) + (1 | BROOD), poisson()),
  of_tmb("TICKS ~ YEAR + toep(0 + YEAR | LOCATION) + (1 | BROOD)", "grouseticks",
         TICKS ~ YEAR + toep(0 + YEAR | LOCATION) + (1 | BROOD), poisson())
)
found <- found[!sapply(found, is.null)]
cat(toJSON(found, digits = 12, auto_unbox = TRUE, pretty = TRUE, na = "null"), "\n")
