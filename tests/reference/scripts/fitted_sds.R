# Fits by nlme's gls and lme whose residual sds follow from the fitted values.
# Rscript fitted_sds.R FOLDER writes fitted_sds.json; data sets are those of residuals.R there.
#
# nlme repeats itself with the fitted values of the last fit until its own tolerances let it. From
# there the same fit is repeated here with these as a covariate until they stay to 1e-9.
library(nlme)
library(jsonlite)
folder <- commandArgs(TRUE)[1]
read <- function(name) {
  data <- read.csv(file.path(folder, paste0(name, ".csv")))
  for (f in intersect(names(data), c("Subject", "Rat", "Diet", "QB"))) data[[f]] <- factor(data[[f]])
  data
}
orthodont <- read("orthodont"); bodyweight <- read("bodyweight"); dialyzer <- read("dialyzer")
growth <- "distance ~ age * Sex"
curve <- "rate ~ (pressure + I(pressure^2)) * QB"
cases <- list(
  list("orthodont", growth, NULL, NULL, "~ log(fitted)", "REML", NULL, varPower),
  list("orthodont", growth, NULL, NULL, "~ log(fitted)", "ML", NULL, varPower),
  list("orthodont", growth, NULL, NULL, "~ fitted", "REML", NULL, varExp),
  list("orthodont", growth, NULL, "cs(1 | Subject)", "~ log(fitted)", "REML",
       corCompSymm(form = ~ 1 | Subject), varPower),
  list("dialyzer", curve, NULL, NULL, "~ log(fitted)", "ML", NULL, varPower),
  list("dialyzer", curve, NULL, "ar1(index | Subject)", "~ log(fitted)", "REML",
       corAR1(form = ~ index | Subject), varPower),
  list("orthodont", growth, "1 | Subject", NULL, "~ log(fitted)", "REML", NULL, varPower),
  list("dialyzer", curve, "1 | Subject", NULL, "~ log(fitted)", "REML", NULL, varPower),
  list("bodyweight", "weight ~ Time * Diet", "Time | Rat", NULL, "~ log(fitted)", "REML", NULL,
       varPower)
)
fitted_by <- function(case, weights, data) {
  args <- list(as.formula(case[[2]]), data = data, method = case[[6]], weights = weights)
  args$correlation <- case[[7]]
  if (is.null(case[[3]])) {
    args$control <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
    do.call(gls, args)
  } else {
    args$random <- as.formula(paste("~", case[[3]]))
    args$control <- lmeControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
    do.call(lme, args)
  }
}
out <- list()
for (case in cases) {
  data <- get(case[[1]])
  own <- fitted_by(case, case[[8]](form = ~ fitted(.)), data)
  data$fitted <- as.numeric(fitted(own))
  for (again in 1:100) {
    fit <- fitted_by(case, case[[8]](form = ~ fitted), data)
    moved <- max(abs(as.numeric(fitted(fit)) - data$fitted))
    data$fitted <- as.numeric(fitted(fit))
    if (moved < 1e-9) break
  }
  beta <- if (inherits(fit, "gls")) coef(fit) else fixef(fit)
  out[[length(out) + 1]] <- list(
    data = case[[1]], formula = paste0(case[[2]], if (!is.null(case[[3]])) paste0(" + (", case[[3]], ")")),
    residual = case[[4]], sigma = case[[5]], method = tolower(case[[6]]),
    by_nlme = as.numeric(-2 * logLik(own)), criterion = as.numeric(-2 * logLik(fit)), moved = moved,
    exponent = as.numeric(coef(fit$modelStruct$varStruct)), residual_sd = fit$sigma,
    beta = as.numeric(beta), se = as.numeric(sqrt(diag(vcov(fit)))))
  cat(case[[1]], case[[5]], case[[6]], again, moved, "\n")
}
versions <- list(R = R.version.string, nlme = as.character(packageVersion("nlme")))
write_json(list(versions = versions, fits = out), file.path(folder, "fitted_sds.json"),
           auto_unbox = TRUE, digits = NA, null = "null")
