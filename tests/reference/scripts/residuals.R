# Fits of correlated residuals and of unequal variance by nlme's gls and lme.
# Rscript residuals.R FOLDER writes residuals.json and the data sets of nlme that it uses.
library(nlme)
library(jsonlite)
folder <- commandArgs(TRUE)[1]

ovary <- as.data.frame(Ovary)
ovary$occasion <- ave(ovary$Time, ovary$Mare, FUN = seq_along)
orthodont <- as.data.frame(Orthodont)
orthodont$occasion <- (orthodont$age - 6) / 2
bodyweight <- as.data.frame(BodyWeight)
dialyzer <- as.data.frame(Dialyzer)
machines <- as.data.frame(Machines)
for (d in c("ovary", "orthodont", "bodyweight", "dialyzer", "machines"))
  write.csv(get(d), file.path(folder, paste0(d, ".csv")), row.names = FALSE, quote = FALSE)
for (f in c("Mare")) ovary[[f]] <- factor(ovary[[f]], ordered = FALSE)
for (f in c("Rat", "Diet")) bodyweight[[f]] <- factor(bodyweight[[f]], ordered = FALSE)
for (f in c("Subject", "QB")) dialyzer[[f]] <- factor(dialyzer[[f]], ordered = FALSE)
for (f in c("Worker")) machines[[f]] <- factor(machines[[f]], ordered = FALSE)
orthodont$Subject <- factor(orthodont$Subject, ordered = FALSE)
orthodont$Sex <- factor(as.character(orthodont$Sex))
bodyweight$week <- bodyweight$Time / 7

control <- list(maxIter = 500, msMaxIter = 1000, msMaxEval = 5000, tolerance = 1e-10,
                msTol = 1e-12, returnObject = TRUE, opt = "nlminb", msVerbose = FALSE)
cases <- list(
  list("ovary", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)", NULL, "ar1(occasion | Mare)", NULL,
       corAR1(form = ~ occasion | Mare), NULL),
  list("ovary", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)", "1 | Mare", "ar1(occasion | Mare)", NULL,
       corAR1(form = ~ occasion | Mare), NULL),
  list("ovary", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)", NULL, "car1(Time | Mare)", NULL,
       corCAR1(form = ~ Time | Mare, value = 1e-4), NULL),
  list("ovary", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)", NULL, "cs(1 | Mare)", NULL,
       corCompSymm(form = ~ 1 | Mare), NULL),
  list("ovary", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)", "1 | Mare", NULL, "~ Time",
       NULL, varExp(form = ~ Time)),
  list("orthodont", "distance ~ age * Sex", NULL, "ar1(occasion | Subject)", NULL,
       corAR1(form = ~ occasion | Subject), NULL),
  list("orthodont", "distance ~ age * Sex", NULL, "cs(1 | Subject)", NULL,
       corCompSymm(form = ~ 1 | Subject), NULL),
  list("orthodont", "distance ~ age * Sex", NULL, "us(age | Subject)", NULL,
       corSymm(form = ~ occasion | Subject), varIdent(form = ~ 1 | age)),
  list("orthodont", "distance ~ age * Sex", NULL, "cs(1 | Subject)", "~ Sex",
       corCompSymm(form = ~ 1 | Subject), varIdent(form = ~ 1 | Sex)),
  list("orthodont", "distance ~ age * Sex", "age | Subject", NULL, "~ Sex",
       NULL, varIdent(form = ~ 1 | Sex)),
  list("orthodont", "distance ~ age * Sex", "1 | Subject", "ar1(occasion | Subject)", "~ Sex",
       corAR1(form = ~ occasion | Subject), varIdent(form = ~ 1 | Sex)),
  list("orthodont", "distance ~ age * Sex", "1 | Subject", "car1(age | Subject)", NULL,
       corCAR1(form = ~ age | Subject), NULL),
  list("orthodont", "distance ~ age * Sex", "1 | Subject", NULL, "~ Sex + age",
       NULL, varComb(varIdent(form = ~ 1 | Sex), varExp(form = ~ age))),
  list("bodyweight", "weight ~ Time * Diet", "Time | Rat", NULL, "~ Diet",
       NULL, varIdent(form = ~ 1 | Diet)),
  list("bodyweight", "weight ~ Time * Diet", "Time | Rat", "car1(Time | Rat)", NULL,
       corCAR1(form = ~ Time | Rat), NULL),
  list("bodyweight", "weight ~ Time * Diet", "Time | Rat", "car1(Time | Rat)", "~ Diet",
       corCAR1(form = ~ Time | Rat), varIdent(form = ~ 1 | Diet)),
  list("bodyweight", "weight ~ Time * Diet", NULL, "car1(Time | Rat)", "~ Diet",
       corCAR1(form = ~ Time | Rat), varIdent(form = ~ 1 | Diet)),
  list("bodyweight", "weight ~ Time * Diet", "Time | Rat", NULL, "~ log(Time)",
       NULL, varPower(form = ~ Time)),
  list("dialyzer", "rate ~ (pressure + I(pressure^2)) * QB", NULL, NULL, "~ log(pressure)",
       NULL, varPower(form = ~ pressure)),
  list("dialyzer", "rate ~ (pressure + I(pressure^2)) * QB", NULL, "ar1(index | Subject)", "~ log(pressure)",
       corAR1(form = ~ index | Subject), varPower(form = ~ pressure)),
  list("dialyzer", "rate ~ (pressure + I(pressure^2)) * QB", "1 | Subject", NULL, "~ pressure",
       NULL, varExp(form = ~ pressure)),
  list("machines", "score ~ Machine", "1 | Worker", NULL, "~ Machine",
       NULL, varIdent(form = ~ 1 | Machine)),
  list("machines", "score ~ Machine", NULL, "cs(1 | Worker)", "~ Machine",
       corCompSymm(form = ~ 1 | Worker), varIdent(form = ~ 1 | Machine))
)
out <- list()
for (case in cases) for (method in c("REML", "ML")) {
  args <- list(as.formula(case[[2]]), data = get(case[[1]]), method = method)
  args$correlation <- case[[6]]
  args$weights <- case[[7]]
  fit <- tryCatch({
    if (is.null(case[[3]])) {
      names(args)[1] <- "model"
      do.call(gls, c(args, list(control = do.call(glsControl, control[names(control) != "msMaxEval"]))))
    } else {
      names(args)[1] <- "fixed"
      args$random <- as.formula(paste("~", case[[3]]))
      do.call(lme, c(args, list(control = do.call(lmeControl, control))))
    }
  }, error = function(e) { cat(conditionMessage(e), "\n"); NULL })
  if (is.null(fit)) { cat("FAILED", case[[1]], case[[4]], case[[5]], method, "\n"); next }
  bars <- if (is.null(case[[3]])) "" else paste0(" + (", case[[3]], ")")
  beta <- if (is.null(case[[3]])) coef(fit) else fixef(fit)
  se <- sqrt(diag(vcov(fit)))
  own <- list()
  if (!is.null(fit$modelStruct$corStruct))
    own$correlation <- unname(coef(fit$modelStruct$corStruct, unconstrained = FALSE))
  if (!is.null(fit$modelStruct$varStruct))
    own$variance <- unname(coef(fit$modelStruct$varStruct, unconstrained = FALSE))
  sds <- rep(fit$sigma, length(resid(fit)))
  if (!is.null(fit$modelStruct$varStruct)) sds <- fit$sigma / varWeights(fit$modelStruct$varStruct)
  sds <- sort(as.numeric(sds))
  out[[length(out) + 1]] <- list(
    data = case[[1]], formula = paste0(case[[2]], bars), residual = case[[4]], sigma = case[[5]],
    method = tolower(method), criterion = as.numeric(-2 * logLik(fit)), residual_sd = fit$sigma,
    row_sds = sds[c(1, length(sds) %/% 2 + 1, length(sds))],
    beta = unname(beta), names = names(beta), se = unname(se),
    correlation = own$correlation, variance = own$variance)
}
versions <- list(R = R.version.string, nlme = as.character(packageVersion("nlme")))
write_json(list(versions = versions, fits = out), file.path(folder, "residuals.json"),
           auto_unbox = TRUE, digits = I(15), null = "null", pretty = TRUE)
cat(length(out), "fits\n")
