# Autocorrelations of residuals by nlme's ACF, written to tests/reference/residuals/acf.json.
# Run from the root of the repository: Rscript tests/reference/scripts/acf.R
library(nlme)
library(jsonlite)

folder <- "tests/reference/residuals"
d <- read.csv(file.path(folder, "orthodont.csv"))
d$Subject <- factor(d$Subject, levels = unique(d$Subject))
fits <- list(
  ar1 = gls(distance ~ age * Sex, d, correlation = corAR1(form = ~ occasion | Subject)),
  intercept = lme(distance ~ age * Sex, d, random = ~ 1 | Subject)
)
found <- list(version = as.character(packageVersion("nlme")))
for (name in names(fits)) for (type in c("pearson", "normalized")) {
  a <- if (name == "ar1") ACF(fits[[name]], form = ~ occasion | Subject, maxLag = 3, resType = type)
       else ACF(fits[[name]], maxLag = 3, resType = type)
  found[[paste(name, type)]] <- list(acf = a$ACF, pairs = attr(a, "n.used"))
}
write_json(found, file.path(folder, "acf.json"), auto_unbox = TRUE, digits = 12, pretty = TRUE)
