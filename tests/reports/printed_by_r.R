# Writes printed_by_r.json: what R prints for numbers that the tests print too.
# Run:  Rscript tests/reports/printed_by_r.R tests/reports/printed_by_r.json
suppressMessages({library(lme4); library(nlme); library(jsonlite)})
options(width = 80, digits = 7)
set.seed(1)
printed <- function(expr) capture.output(expr)
number <- function(x) sprintf("%.17g", x)          # exact: JSON numbers would be rounded

vectors <- list(
  c(0.1, 12.345678, -3), c(1e-10, 1), c(123456789, 1.5), c(99999.96, 1), c(9.9999999, 0.5),
  c(1e5, 1e6), 1e5, 123456, 1e15, 1e-5, 0.0001, 0.00012345678, c(NA, 1.5), c(NaN, Inf, -Inf, 2),
  c(-0.00001, 0), 0, 100, 1234567.8, 237733.8, c(1762, 1778, -876, 1752), c(0.05, 1e-300),
  c(1e100, 1), c(1e-100, 1e-99), 2/3, -1/3, c(1e10, 1e-3), 999.9999, 99.99995, -9.99e-5,
  rnorm(6), rnorm(5) * 1e4, rnorm(5) * 1e-4, exp(rnorm(6) * 5), exp(rnorm(6) * 20), runif(4))
formats <- list()
for (x in vectors) for (digits in c(1, 3, 4, 5, 7)) for (nsmall in c(0, 3))
  formats[[length(formats) + 1]] <-
    list(x = number(x), digits = digits, nsmall = nsmall,
         cells = format(x, digits = digits, nsmall = nsmall), alone = printed(cat(x[1])))
p_values <- list(c(0.04, 1e-5), 1e-20, c(1e-20, 0.5), c(1e-20, 1e-9), c(0.2, 0.03, 0.001, 1e-4),
  c(NA, 0.5), 0, c(0, 0.8), c(9.89e-15, 1e-17), 0.000123456, c(0.05, 0.1), 2.3e-16, runif(5)^8)
pvals <- lapply(p_values, function(p) list(p = number(p), cells =
  lapply(c(`1` = 1, `3` = 3, `4` = 4, `5` = 5), function(d) format.pval(p, digits = d))))
zaps <- lapply(list(c(1, 1e-20), c(123.456, 1e-3, 1e-6), c(0, 0), c(-5e-17, 2.5, 1000), rnorm(5)),
  function(x) list(x = number(x), digits = 5, zapped = number(zapsmall(x, 5))))

names_given <- list(
  c("(Intercept)", "temperature.L", "recipeB:temperature^4", "poly(Days, 2)1", "poly(Days, 2)2"),
  c("factor(nitro)0.2:VarietyMarvellous", "factor(nitro)0.4:VarietyMarvellous",
    "factor(nitro)0.2:VarietyVictory"),
  c("aaaaaaaaaaaa", "aaaaaaaaaaab", "aaaaaaaaaaac"), c("a", "bb", "", "a"),
  c("the quick brown fox", "Treatment A vs B", "  leading", "UPPERCASENAME", "x1234567890123"))
short <- lapply(names_given, function(x) list(names = x, by =
  lapply(c(`1` = 1, `4` = 4, `6` = 6, `11` = 11), function(n) unname(abbreviate(x, n)))))

data(Machines, Oats, Orthodont, Rail, package = "nlme")
plain <- function(d) {                             # nlme's grouped data as data frames
  d <- as.data.frame(d); class(d) <- "data.frame"
  attributes(d)[setdiff(names(attributes(d)), c("names", "row.names", "class"))] <- NULL
  d
}
bundled <- list(sleepstudy = sleepstudy, cake = cake, Dyestuff = Dyestuff, Dyestuff2 = Dyestuff2,
  InstEval = InstEval, Pastes = Pastes, Penicillin = Penicillin, VerbAgg = VerbAgg,
  Machines = plain(Machines), Oats = plain(Oats), Rail = plain(Rail))
strs <- lapply(bundled, function(d) printed(str(d, give.attr = FALSE)))

level_table <- function(m, kind) {
  tables <- if (kind == "ranef") ranef(m) else coef(m)
  list(kind = kind, printed = printed(print(tables)), tables =
    lapply(tables, function(t) list(levels = I(rownames(t)), columns = I(names(t)),
      values = lapply(t, number))))
}
m1 <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
nested <- lmer(strength ~ 1 + (1 | batch/cask), Pastes)
wide <- suppressWarnings(suppressMessages(
  lmer(angle ~ temperature + (temperature | replicate), cake)))
tables <- list(level_table(m1, "ranef"), level_table(m1, "coef"), level_table(nested, "ranef"),
  level_table(nested, "coef"), level_table(wide, "ranef"))

components <- function(theta, sigma, columns, names) {
  v <- mkVarCorr(sigma, setNames(columns, names), lengths(columns), theta, names)
  class(v) <- "VarCorr.merMod"; attr(v, "useSc") <- TRUE
  list(sigma = number(sigma), terms = lapply(seq_along(v), function(i) list(name = names[i],
      columns = I(columns[[i]]), sd = I(number(attr(v[[i]], "stddev"))),
      corr = I(number(attr(v[[i]], "correlation"))))),
    printed = printed(print(v)), summary = printed(lme4:::.prt.VC(v, digits = 4, comp = c("Variance", "Std.Dev."))))
}
ten <- paste0("a_long_column_", 1:10)
varcorrs <- list(
  components(rnorm(55), 2.5, list(ten), "subject"),
  components(c(rnorm(6), 0.5, 3), 1e-3, list(c("(Intercept)", "x", "y"), "(Intercept)", "z"),
             c("g", "h", "h.1")),
  components(c(0, 0, 1), 10, list(c("(Intercept)", "x")), "g"))

full <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
correlations <- list(names = names(fixef(full)), vcov = apply(as.matrix(vcov(full)), 1, number),
  printed = {
    out <- printed(print(summary(full), correlation = TRUE))
    out[(which(out == "Correlation of Fixed Effects:") + 1):length(out)]
  })

tabled <- function(estimate, se) {
  x <- cbind(Estimate = estimate, `Std. Error` = se, `t value` = estimate / se)
  rownames(x) <- paste0("x", seq_along(estimate))
  list(estimate = I(number(estimate)), se = I(number(se)), printed = printed(
    printCoefmat(x, digits = 4)))
}
coefficients <- list(tabled(c(1e-20, 1), c(1e-9, 2)), tabled(c(0, 5), c(1, 2)),
  tabled(c(123456, 0.00123), c(1000, 0.5)), tabled(c(1e8, -2e8), c(3e7, 1e8)),
  tabled(c(1e-5, 3e-7), c(2e-6, 1e-7)), tabled(rnorm(4) * 10^(1:4), exp(rnorm(4))),
  tabled(-99.9996, 0.99999), tabled(c(1e15, 1), c(1, 1e-3)))

linear <- function(m) {
  X <- model.matrix(m)
  list(formula = deparse(formula(m)), call = deparse(m$call),
    data_name = deparse(m$call$data), weights_text = if (is.null(m$call$weights)) "" else
      deparse(m$call$weights), names = I(names(coef(m))), kept = I(unname(!is.na(coef(m)))),
    X = lapply(seq_len(nrow(X)), function(i) number(X[i, ])), rows = rownames(X),
    y = number(model.response(model.frame(m))), n_given = nrow(eval(m$call$data)),
    weights = if (is.null(m$weights)) NULL else number(m$weights),
    printed = printed(print(summary(m))))
}
sleep_na <- sleepstudy; sleep_na$Reaction[c(1, 5)] <- NA
six <- sleepstudy[1:6, ]
noise <- data.frame(y = c(0.1, -0.3, 0.2, 0.05, 0.4, -0.2, 0.15, 0.3), x = c(1, 2, 1, 2, 3, 3, 4, 4))
models <- list(
  linear(lm(Reaction ~ Days, data = sleepstudy)), linear(lm(Reaction ~ 1, data = sleepstudy)),
  linear(lm(Reaction ~ 0 + Days, data = sleepstudy)),
  linear(lm(Reaction ~ Days + I(2 * Days) + I(Days^2), data = sleepstudy)),
  linear(lm(Reaction ~ Days, data = sleepstudy, weights = 1/(1 + Days))),
  linear(lm(Reaction ~ Days, data = sleep_na)), linear(lm(Reaction ~ Days, data = six)),
  linear(lm(y ~ x, data = noise)), linear(lm(angle ~ recipe * temperature, data = cake)))

write_json(list(made = paste(R.version.string, "lme4", packageVersion("lme4")), formats = formats,
  p_values = pvals, zapped = zaps, abbreviations = short, str = strs,
  level_tables = tables, varcorr = varcorrs, correlations = correlations,
  coefficients = coefficients, linear = models),
  commandArgs(TRUE)[1], auto_unbox = TRUE, null = "null", digits = NA)
