# Reference values of R's emmeans for tests/marginal_means/test_emmeans_cases.py.
#
#   Rscript emmeans_cases.R ../emmeans/cases.csv
#
# One line a number: case, row (from 1), column (emmeans' name), value with 15 digits. Fits are taken
# to their optima, so that what differs is emmeans and not where an optimiser stopped. Unbalanced
# data come from the bundled sets by rules that the test repeats (function `thinned`).
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans)})
options(digits = 15, contrasts = c("contr.treatment", "contr.poly"))
emm_options(msg.interaction = FALSE, msg.nesting = FALSE, lmerTest.limit = 1e4, pbkrtest.limit = 1e4)
target <- commandArgs(TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5),
                     check.conv.singular = "ignore", calc.derivs = FALSE)
glmer_tight <- glmerControl(optimizer = c("bobyqa", "bobyqa"), tolPwrss = 1e-13,
                            optCtrl = list(rhobeg = 2e-3, rhoend = 1e-9, maxfun = 1e5))
lines <- list()
keep <- function(case, table) {
  table <- as.data.frame(table)
  for (column in names(table)) {
    value <- table[[column]]
    text <- if (is.numeric(value)) sprintf("%.15g", value) else as.character(value)
    lines[[length(lines) + 1]] <<- data.frame(case, row = seq_along(text), column, value = text)
  }
}
both <- function(grid, ...) summary(grid, infer = c(TRUE, TRUE), ...)

data(Machines, package = "nlme"); data(Oats, package = "nlme")
Machines <- as.data.frame(Machines); Oats <- as.data.frame(Oats)
Machines$Machine <- factor(as.character(Machines$Machine))
Oats$Variety <- factor(as.character(Oats$Variety)); Oats$Block <- factor(as.character(Oats$Block))
thinned <- function(d, codes) d[codes %% 5 != 0, ]   # leaves every cell, unequally filled

cake$degrees <- as.numeric(as.character(cake$temperature))
few <- thinned(cake, as.integer(cake$recipe) * 7 + as.integer(as.character(cake$replicate)) * 3 +
                     (cake$degrees - 175) / 10 * 2 + as.integer(as.character(cake$replicate)) %/% 4)
oats <- thinned(Oats, match(Oats$Block, c("I", "II", "III", "IV", "V", "VI")) * 3 +
                      as.integer(Oats$Variety) * 2 + Oats$nitro * 5)
machines <- lmer(score ~ Machine + (1 | Worker/Machine), Machines, control = tight)
cells <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), few, control = tight)
additive <- lmer(angle ~ recipe + degrees + (1 | recipe:replicate), few, control = tight)
slopes <- lmer(yield ~ nitro * Variety + (1 | Block/Variety), oats, control = tight)
curved <- lmer(yield ~ nitro * Variety + I(nitro^2) + (1 | Block), oats, control = tight)
levels_ <- lmer(yield ~ factor(nitro) * Variety + (1 | Block/Variety), oats, control = tight)
herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
               control = glmer_tight)
ticks_data <- grouseticks
ticks_data$height <- ticks_data$HEIGHT / 10 - 45
ticks <- glmer(TICKS ~ YEAR * height + (1 | BROOD), ticks_data, poisson, control = glmer_tight)
clinics <- read.csv(file.path(dirname(target), "clinics.csv"), stringsAsFactors = TRUE)
nested <- lmer(y ~ arm + clinic + sex + age + (1 | patient), clinics, control = tight)

satterthwaite <- function(...) emmeans(..., lmer.df = "satterthwaite")
ward <- function(...) emmeans(..., lmer.df = "kenward-roger")
plain <- function(...) emmeans(..., lmer.df = "asymptotic")

# contrast families and adjustments
m <- satterthwaite(machines, "Machine")
for (family in c("pairwise", "revpairwise", "trt.vs.ctrl", "trt.vs.ctrlk", "eff", "del.eff", "consec",
                 "mean_chg", "poly", "identity"))
  keep(paste0("family ", family), both(contrast(m, family), adjust = "none"))
keep("family dunnettx", both(contrast(m, "trt.vs.ctrl", ref = 2)))
t6 <- ward(cells, "temperature")
for (adjust in c("tukey", "sidak", "bonferroni", "scheffe"))
  keep(paste0("adjust ", adjust), both(contrast(t6, "pairwise"), adjust = adjust))
for (adjust in c("holm", "hochberg", "hommel", "BH", "BY"))
  keep(paste0("adjust ", adjust), test(contrast(t6, "eff"), adjust = adjust))
keep("custom", both(contrast(t6, list(high = c(0, 0, 0, -1, 0, 1), ends = c(1, 0, 0, 0, 0, -1)),
                             adjust = "sidak")))
# unbalanced cells, weights
for (w in c("equal", "proportional", "outer", "cells", "flat"))
  keep(paste0("weights ", w), both(satterthwaite(cells, "recipe", weights = w)))
keep("by", both(contrast(satterthwaite(cells, ~ recipe | temperature), "pairwise")))
keep("interaction", both(contrast(ward(levels_, ~ Variety * nitro),
                                  interaction = c("pairwise", "poly"))))
keep("simple", both(contrast(satterthwaite(levels_, ~ Variety * nitro), "consec",
                             simple = "nitro"), adjust = "none"))
# covariates
keep("covariate mean", both(ward(additive, "recipe")))
keep("covariate range", both(ward(additive, ~ recipe * degrees, cov.reduce = range)))
keep("covariate at", both(satterthwaite(slopes, ~ Variety | nitro, at = list(nitro = c(0.1, 0.5)))))
# slopes
keep("emtrends", both(emtrends(slopes, ~ Variety, var = "nitro", lmer.df = "satterthwaite")))
keep("emtrends pairs", both(pairs(emtrends(slopes, ~ Variety, var = "nitro",
                                           lmer.df = "kenward-roger"))))
keep("emtrends curve", both(emtrends(curved, ~ nitro | Variety, var = "nitro", delta.var = 1e-6,
                                     at = list(nitro = c(0, 0.3, 0.6)), lmer.df = "asymptotic")))
keep("emtrends poisson", both(emtrends(ticks, ~ YEAR, var = "height")))
keep("emtrends response", both(emtrends(ticks, ~ YEAR, var = "height", delta.var = 2e-5,
                                        regrid = "response")))
# generalised models
keep("binomial link", both(contrast(emmeans(herds, "period"), "trt.vs.ctrl", adjust = "none")))
keep("binomial response", both(emmeans(herds, "period", type = "response")))
keep("binomial odds", both(contrast(emmeans(herds, "period"), "pairwise", type = "response")))
keep("binomial regrid", both(pairs(regrid(emmeans(herds, "period")))))
keep("binomial risk", both(contrast(regrid(emmeans(herds, "period"), "log"), "consec",
                                    type = "response", adjust = "none")))
keep("poisson response", both(emmeans(ticks, ~ YEAR, type = "response")))
keep("poisson averaged", both(emmeans(ticks, ~ YEAR, at = list(height = c(-3, 0, 3)),
                                      regrid = "response")))
keep("poisson ratio", both(pairs(emmeans(ticks, ~ YEAR), type = "response"), adjust = "bonferroni"))
# nested factors
keep("nested arm", both(satterthwaite(nested, "arm")))
keep("nested clinic", both(contrast(satterthwaite(nested, ~ clinic | arm), "pairwise")))
keep("nested cells", both(satterthwaite(nested, "arm", weights = "cells")))
# tests with margins and sides
p <- contrast(ward(cells, "recipe"), "pairwise")
keep("equivalence", test(p, delta = 3, adjust = "none"))
keep("noninferiority", test(p, delta = 2, side = "noninferiority", adjust = "none"))
keep("nonsuperiority", test(p, delta = 2, side = "nonsuperiority", adjust = "holm"))
keep("greater", both(p, side = ">", adjust = "sidak"))
keep("null", test(ward(cells, "recipe"), null = 30, side = "left"))
keep("binomial null", test(contrast(emmeans(herds, "period"), "consec"), null = log(0.8), side = "<",
                           adjust = "none"))
# effect sizes, joint tests
keep("eff_size", both(eff_size(plain(machines, "Machine"), sigma = 3.2, edf = 40)))
keep("eff_size control", both(eff_size(plain(cells, "recipe"), sigma = sigma(cells), edf = 100,
                                       method = "trt.vs.ctrl")))
keep("joint machines", joint_tests(machines, lmer.df = "satterthwaite"))
keep("joint cells", joint_tests(cells, lmer.df = "asymptotic"))
keep("joint by", joint_tests(cells, by = "temperature", lmer.df = "asymptotic"))
keep("joint covariate", joint_tests(slopes, lmer.df = "asymptotic"))
keep("joint nested", joint_tests(nested, lmer.df = "asymptotic"))
keep("joint binomial", joint_tests(herds))
keep("joint poisson", joint_tests(ticks))
keep("joint contrasts", test(contrast(plain(cells, ~ recipe | temperature), "eff"), joint = TRUE,
                             by = "temperature"))

write.csv(do.call(rbind, lines), target, row.names = FALSE, quote = TRUE, eol = "\n")
cat(sprintf("R %s, lme4 %s, lmerTest %s, pbkrtest %s, emmeans %s\n", getRversion(), packageVersion("lme4"),
            packageVersion("lmerTest"), packageVersion("pbkrtest"), packageVersion("emmeans")))
