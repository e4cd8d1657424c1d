# Generalised mixed models that the documentation of R packages fits: their data, the numbers of
# the package itself, and the optimum of the same criterion found to the end.
#
#   Rscript benchmarks/documented_glmms.R FOLDER [id ...]
#
# writes FOLDER/<id>.csv (the columns the model uses) and FOLDER/<id>.json. "theirs" is the call as
# documented, with its defaults. "reference" is the optimum of the criterion: Newton steps with
# Richardson derivatives of TMB's exact gradient (Laplace, observed curvatures), of clmm's Laplace
# or quadrature value, or of lme4's quadrature value with its inner loop run to 1e-13. Standard
# errors of the reference are from the Hessian there.

suppressPackageStartupMessages({
  library(lme4); library(glmmTMB); library(ordinal); library(jsonlite); library(numDeriv)
})
arguments <- commandArgs(TRUE)
FOLDER <- arguments[1]
dir.create(FOLDER, showWarnings = FALSE)

of <- function(package, name) {
  e <- new.env()
  data(list = name, package = package, envir = e)
  as.data.frame(e[[name]])
}
tested <- function(file, name) {
  e <- new.env()
  load(system.file("testdata", file, package = "lme4"), envir = e)
  e[[name]]
}

MODELS <- list()
model <- function(id, source, data, formula, family, engine = "glmer", nAGQ = 1, zi = FALSE,
                  link = NULL) {
  MODELS[[id]] <<- list(id = id, source = source, data = substitute(data), formula = formula,
                        family = family, engine = engine, nAGQ = nAGQ, zi = zi, link = link)
}

# lme4
model("cbpp", "lme4 ?cbpp, ?glmer", of("lme4", "cbpp"),
      "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial")
model("cbpp_obs", "lme4 ?cbpp, ?glmer", transform(of("lme4", "cbpp"), obs = factor(1:56)),
      "cbind(incidence, size - incidence) ~ period + (1 | herd) + (1 | obs)", "binomial")
model("grouseticks", "lme4 ?grouseticks", of("lme4", "grouseticks"),
      "TICKS ~ YEAR + HEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", "poisson")
model("VerbAgg", "lme4 ?VerbAgg", of("lme4", "VerbAgg"),
      "r2 ~ (Anger + Gender + btype + situ)^2 + (1 | id) + (1 | item)", "binomial")
model("toenail_agq20", "lme4 ?glmer", of("HSAUR3", "toenail"),
      "outcome ~ treatment * visit + (1 | patientID)", "binomial", nAGQ = 20)
model("toenail", "lme4 ?glmer, by Laplace", of("HSAUR3", "toenail"),
      "outcome ~ treatment * visit + (1 | patientID)", "binomial")
model("glmer_nb", "lme4 ?glmer.nb", {
        set.seed(101)
        dd <- expand.grid(f1 = factor(1:3), f2 = LETTERS[1:2], g = 1:9, rep = 1:15,
                          KEEP.OUT.ATTRS = FALSE)
        mu <- 5 * (-4 + with(dd, as.integer(f1) + 4 * as.numeric(f2)))
        dd$y <- rnbinom(nrow(dd), mu = mu, size = 0.5)
        dd
      }, "y ~ f1 * f2 + (1 | g)", "nbinom2", engine = "glmmTMB")
model("gopher", "lme4 tests, gopherdat2", tested("gopherdat2.RData", "Gdat"),
      "shells ~ prev + offset(log(Area)) + factor(year) + (1 | Site)", "poisson")
model("culcita", "lme4 tests, culcita_dat", tested("culcita_dat.RData", "culcita_dat"),
      "predation ~ ttt + (1 | block)", "binomial")
model("hessianfly", "lme4 tests, gotway_hessianfly",
      tested("gotway_hessianfly.rda", "gotway.hessianfly"),
      "cbind(y, n - y) ~ gen + (1 | block)", "binomial")
model("Thailand", "lme4 tests, Thailand", tested("Thailand.rda", "Thailand"),
      "rgi ~ sex + pped + (1 | schoolid)", "binomial")
model("lme4_respiratory", "lme4 tests, respiratory", tested("respiratory.RData", "respiratory"),
      "outcome ~ center + treat + sex + age + baseline + (1 | idctr)", "binomial")
model("survdat", "lme4 tests, survdat_reduced",
      transform(tested("survdat_reduced.Rda", "survdat_reduced"), alive = round(survprop * eggs)),
      "cbind(alive, eggs - alive) ~ 1 + (1 | nobs)", "binomial")
model("colonizer_3", "lme4 tests, colonizer_rand", tested("colonizer_rand.rda", "randdat"),
      "colonizers ~ Treatment * homespecies * respspecies + (1 | Plot)", "poisson")
model("colonizer_2", "lme4 tests, colonizer_rand", tested("colonizer_rand.rda", "randdat"),
      "colonizers ~ (Treatment + homespecies + respspecies)^2 + (1 | Plot)", "poisson")
model("radinger", "lme4 tests, radinger_dat", tested("radinger_dat.RData", "radinger_dat"),
      "presabs ~ predictor + (1 | species)", "binomial")
model("mastitis", "lme4 tests, mastitis", tested("mastitis.rda", "mastitis"),
      "NCM ~ birth + calvingYear + (1 | sire) + (1 | herd)", "poisson")
model("crabs", "lme4 tests, crabs_randdata2", tested("crabs_randdata2.Rda", "randdata0"),
      paste("cbind(final.snail.density, snails.lost) ~ crab.species + snail.size +",
            "(snail.size | plot)"), "binomial")

# HSAUR3
model("respiratory", "HSAUR3 vignette, longitudinal data II", {
        respiratory <- of("HSAUR3", "respiratory")
        resp <- subset(respiratory, month > "0")
        resp$baseline <- rep(subset(respiratory, month == "0")$status, rep(4, 111))
        resp$trt <- resp$treatment
        resp
      }, "status ~ baseline + month + trt + gender + age + centre + (1 | subject)", "binomial")
model("trees513", "HSAUR3 vignette, simultaneous inference", {
        trees513 <- tested("trees513.RData", "trees513B")
        trees513 <- subset(trees513, !species %in% c("fir", "ash/maple/elm/lime",
                                                     "softwood (other)"))
        trees513$species <- trees513$species[, drop = TRUE]
        levels(trees513$species)[nlevels(trees513$species)] <- "hardwood"
        trees513
      }, "damage ~ species - 1 + (1 | lattice / plot)", "binomial")
model("schizophrenia", "HSAUR3 ?schizophrenia2, as mixed model", of("HSAUR3", "schizophrenia2"),
      "disorder ~ onset * month + (1 | subject)", "binomial")
model("epilepsy", "HSAUR3 vignette, longitudinal data II, as mixed model",
      transform(of("HSAUR3", "epilepsy"), per = log(2)),
      "seizure.rate ~ base + age + treatment + offset(per) + (1 | subject)", "poisson")

# MASS
model("bacteria", "MASS ?glmmPQL, ?bacteria", of("MASS", "bacteria"),
      "y ~ trt + I(week > 2) + (1 | ID)", "binomial")
model("bacteria_week", "MASS ?glmmPQL", of("MASS", "bacteria"),
      "y ~ trt + week + (1 | ID)", "binomial")
model("bacteria_offset", "MASS ?glmmPQL", of("MASS", "bacteria"),
      "y ~ trt + week + offset(week) + (1 | ID)", "binomial")
model("epil", "MASS ?epil", of("MASS", "epil"),
      "y ~ lbase * trt + lage + V4 + (1 | subject)", "poisson")
model("epil3", "MASS ?epil", {
        epil <- of("MASS", "epil")
        epil2 <- epil[epil$period == 1, ]
        epil2["period"] <- rep(0, 59)
        epil2["y"] <- epil2["base"]
        epil["time"] <- 1
        epil2["time"] <- 4
        epil2 <- rbind(epil, epil2)
        epil2$pred <- unclass(epil2$trt) * (epil2$period > 0)
        epil2$subject <- factor(epil2$subject)
        epil3 <- aggregate(epil2, list(epil2$subject, epil2$period > 0),
                           function(x) if (is.numeric(x)) sum(x) else x[1])
        epil3$pred <- factor(epil3$pred, labels = c("base", "placebo", "drug"))
        epil3
      }, "y ~ pred + (1 | subject)", "poisson")

# mlmRev
model("Contraception", "mlmRev ?Contraception", of("mlmRev", "Contraception"),
      "use ~ urban + age + livch + (1 | district)", "binomial")
model("Contraception_slopes", "mlmRev ?Contraception", of("mlmRev", "Contraception"),
      "use ~ urban + age + livch + (urban | district)", "binomial")
model("Mmmec", "mlmRev ?Mmmec", of("mlmRev", "Mmmec"),
      "deaths ~ uvb + offset(log(expected)) + (1 | region)", "poisson")
model("guImmun", "mlmRev ?guImmun, three levels", of("mlmRev", "guImmun"),
      paste("immun ~ kid2p + mom25p + ord + ethn + momEd + husEd + momWork + rural + pcInd81 +",
            "(1 | mom) + (1 | comm)"), "binomial")
model("guPrenat", "mlmRev ?guPrenat, three levels", of("mlmRev", "guPrenat"),
      paste("prenat ~ childAge + motherAge + birthOrd + indig + momEd + husEd + husEmpl +",
            "toilet + TV + pcInd81 + ssDist + (1 | mom) + (1 | cluster)"), "binomial")
model("Socatt", "mlmRev ?Socatt, ordered", of("mlmRev", "Socatt"),
      "numpos ~ year + party + class + gender + age + religion + (1 | respond)",
      "cumulative", engine = "clmm", link = "logit")

# geepack: the marginal models of its help, as mixed models
model("ohio", "geepack ?ohio, as mixed model", of("geepack", "ohio"),
      "resp ~ age + smoke + age:smoke + (1 | id)", "binomial")
model("geepack_respiratory", "geepack ?respiratory, as mixed model",
      transform(of("geepack", "respiratory"), center = factor(center),
                id = interaction(center, id, drop = TRUE)),
      "outcome ~ center + treat + age + baseline + (1 | id)", "binomial")
seizures <- function() {
  d <- reshape(of("geepack", "seizure"), varying = list(c("base", "y1", "y2", "y3", "y4")),
               v.names = "y", times = 0:4, direction = "long")
  d <- d[order(d$id, d$time), ]
  d$t <- ifelse(d$time == 0, 8, 2)
  d$x <- ifelse(d$time == 0, 0, 1)
  d
}
model("seizure", "geepack ?seizure, as mixed model", seizures(),
      "y ~ offset(log(t)) + x + trt + x:trt + (1 | id)", "poisson")
model("seizure_slopes", "geepack ?seizure, as mixed model with slopes", seizures(),
      "y ~ offset(log(t)) + x + trt + x:trt + (x | id)", "poisson")
model("koch", "geepack ?koch, as mixed model", transform(of("geepack", "koch"), y = ordered(y)),
      "y ~ trt + factor(day) + (1 | id)", "cumulative", engine = "clmm", link = "logit")
model("respdis", "geepack ?respdis, as mixed model", {
        d <- reshape(of("geepack", "respdis"), varying = list(c("y1", "y2", "y3", "y4")),
                     v.names = "resp", direction = "long")
        d <- d[order(d$id, d$time), ]
        d$resp <- ordered(d$resp)
        d
      }, "resp ~ trt + (1 | id)", "cumulative", engine = "clmm", link = "logit")

# glmmTMB
model("owls_zip", "glmmTMB vignette", {
        d <- transform(of("glmmTMB", "Owls"), NCalls = SiblingNegotiation, FT = FoodTreatment)
        d$Nest <- reorder(d$Nest, d$NegPerChick)
        d$ArrivalTime <- as.vector(scale(d$ArrivalTime, scale = FALSE))
        d
      }, "NCalls ~ (FT + ArrivalTime) * SexParent + offset(log(BroodSize)) + (1 | Nest)",
      "poisson", engine = "glmmTMB", zi = TRUE)
MODELS$owls_zinb <- modifyList(MODELS$owls_zip, list(id = "owls_zinb", family = "nbinom2"))
model("owls_nb", "glmmTMB ?Owls, negative binomial without zeros", of("glmmTMB", "Owls"),
      "SiblingNegotiation ~ FoodTreatment * SexParent + offset(log(BroodSize)) + (1 | Nest)",
      "nbinom2", engine = "glmmTMB")
model("epil2", "glmmTMB ?epil2", {
        d <- of("glmmTMB", "epil2")
        d$subject <- factor(d$subject)
        d
      }, "y ~ Base * trt + Age + Visit + (Visit | subject)", "nbinom2", engine = "glmmTMB")
model("salamanders_p", "Brooks et al. (2017), R Journal 9(2):378", of("glmmTMB", "Salamanders"),
      "count ~ spp + (1 | site)", "poisson", engine = "glmmTMB")
model("salamanders_nb", "Brooks et al. (2017), R Journal 9(2):378", of("glmmTMB", "Salamanders"),
      "count ~ spp * mined + (1 | site)", "nbinom2", engine = "glmmTMB")
model("salamanders_zip", "glmmTMB ?glmmTMB, zeros of one share", of("glmmTMB", "Salamanders"),
      "count ~ mined + (1 | site)", "poisson", engine = "glmmTMB", zi = TRUE)
model("cbpp_betabinomial", "glmmTMB ?glmmTMB, overdispersed", of("lme4", "cbpp"),
      "cbind(incidence, size - incidence) ~ period + (1 | herd)", "betabinomial",
      engine = "glmmTMB")

# ordinal
model("wine", "ordinal ?clmm, tutorial fm1", of("ordinal", "wine"),
      "rating ~ temp + contact + (1 | judge)", "cumulative", engine = "clmm", link = "logit")
model("wine_agq10", "ordinal tutorial fm2", of("ordinal", "wine"),
      "rating ~ temp + contact + (1 | judge)", "cumulative", engine = "clmm", nAGQ = 10,
      link = "logit")
model("wine_temp_agq10", "ordinal tutorial fm3", of("ordinal", "wine"),
      "rating ~ temp + (1 | judge)", "cumulative", engine = "clmm", nAGQ = 10, link = "logit")
model("wine_probit", "ordinal ?clmm, probit", of("ordinal", "wine"),
      "rating ~ temp + contact + (1 | judge)", "cumulative", engine = "clmm", link = "probit")
model("wine_slopes", "ordinal ?wine, slopes", of("ordinal", "wine"),
      "rating ~ temp + contact + (1 + temp | judge)", "cumulative", engine = "clmm",
      link = "logit")
model("soup", "ordinal ?clmm mm2, free thresholds", of("ordinal", "soup"),
      "SURENESS ~ PROD + (1 | RESP)", "cumulative", engine = "clmm", link = "probit")
model("soup_nested", "ordinal ?clmm mm1, free thresholds", of("ordinal", "soup"),
      "SURENESS ~ PROD + (1 | RESP) + (1 | RESP:PROD)", "cumulative", engine = "clmm",
      link = "probit")

# Newton steps over the free parameters until the gradient is rounding.
newton <- function(gradient, par, hessian, steps = 8) {
  g <- gradient(par)
  for (k in seq_len(steps)) {
    H <- hessian(par)
    values <- eigen(H, symmetric = TRUE, only.values = TRUE)$values
    if (min(values) <= 1e-8 * max(values)) break
    new <- par - solve(H, g)
    g2 <- gradient(new)
    if (!all(is.finite(g2)) || max(abs(g2)) >= max(abs(g))) break
    par <- new
    g <- g2
  }
  H <- hessian(par)
  list(par = par, gradient = max(abs(g)), H = (H + t(H)) / 2)
}

timed <- function(expr) {
  call <- substitute(expr)
  frame <- parent.frame()
  quiet <- function() suppressWarnings(suppressMessages(eval(call, frame)))
  used <- function(times) times[["user.self"]] + times[["sys.self"]]
  seconds <- used(system.time(value <- quiet()))
  if (seconds < 1) seconds <- min(replicate(3, used(system.time(quiet()))))
  list(value = value, seconds = seconds)
}

errors_of <- function(H, chosen) {
  # where a variance is zero its curvature is none: the rest is taken without it
  keep <- diag(H) > 1e-5 * 1
  out <- rep(NA_real_, nrow(H))
  out[keep] <- sqrt(diag(solve(H[keep, keep, drop = FALSE])))
  out[chosen]
}

fit_tmb <- function(m, d) {
  family <- switch(m$family, binomial = binomial(), poisson = poisson(), nbinom2 = nbinom2(),
                   betabinomial = glmmTMB::betabinomial())
  zi <- if (m$zi) ~1 else ~0
  f <- as.formula(m$formula)
  run <- timed(glmmTMB(f, data = d, family = family, ziformula = zi))
  fit <- run$value
  obj <- fit$obj
  obj$env$inner.control$grad.tol <- 1e-12
  obj$env$inner.control$tol <- 0
  slopes <- function(x) as.vector(obj$gr(x))
  best <- newton(slopes, fit$fit$par, function(x) jacobian(slopes, x))
  value <- 2 * as.numeric(obj$fn(best$par))
  fit$fit$par <- best$par
  fit$fit$parfull <- obj$env$last.par
  places <- which(names(best$par) == "beta")
  se <- errors_of(best$H, places)
  terms <- VarCorr(fit)$cond
  list(theirs = list(call = "glmmTMB", minus2loglik = -2 * as.numeric(logLik(run$value)),
                     beta = unname(fixef(run$value)$cond), seconds = run$seconds),
       reference = list(minus2loglik = value, gradient = best$gradient,
                        names = names(fixef(fit)$cond), beta = unname(best$par[places]), se = se,
                        terms = lapply(seq_along(terms), function(i) covariance(terms, i)),
                        dispersion = if (m$family %in% c("nbinom2", "betabinomial"))
                          unname(exp(best$par[names(best$par) == "betad"])),
                        zeros = if (m$zi) unname(plogis(best$par[names(best$par) == "betazi"]))))
}

covariance <- function(terms, i) {
  own <- terms[[i]]
  list(group = names(terms)[i], columns = I(names(attr(own, "stddev"))),
       sd = I(unname(attr(own, "stddev"))), corr = unname(attr(own, "correlation")))
}

# lme4's own call, beside the reference
fit_glmer <- function(m, d) {
  family <- switch(m$family, binomial = binomial(), poisson = poisson())
  f <- as.formula(m$formula)
  control <- glmerControl(check.nlev.gtreq.5 = "ignore")
  run <- tryCatch(timed(glmer(f, data = d, family = family, nAGQ = m$nAGQ, control = control)),
                  error = function(e) list(error = conditionMessage(e)))
  if (!is.null(run$error)) {  # the reference is there all the same
    out <- fit_tmb(m, d)
    out$theirs <- list(call = "glmer", error = run$error)
    return(out)
  }
  fit <- run$value
  theirs <- list(call = "glmer", minus2loglik = -2 * as.numeric(logLik(fit)),
                 beta = unname(fixef(fit)), seconds = run$seconds)
  if (m$nAGQ == 1) {
    out <- fit_tmb(m, d)
    out$theirs <- theirs
    return(out)
  }
  tight <- glmerControl(tolPwrss = 1e-13, nAGQ0initStep = FALSE, calc.derivs = FALSE,
                        check.nlev.gtreq.5 = "ignore")
  value <- suppressWarnings(glmer(f, data = d, family = family, nAGQ = m$nAGQ, control = tight,
                                  devFunOnly = TRUE))
  n_theta <- length(fit@theta)
  best <- newton(function(x) grad(value, x), c(fit@theta, fit@beta),
                 function(x) hessian(value, x))
  sd <- best$par[seq_len(n_theta)]
  terms <- VarCorr(fit)
  own <- covariance(terms, 1)
  own$sd <- I(unname(abs(sd)))
  list(theirs = theirs,
       reference = list(minus2loglik = value(best$par), gradient = best$gradient,
                        names = names(fixef(fit)), beta = unname(best$par[-seq_len(n_theta)]),
                        se = errors_of(best$H / 2, -seq_len(n_theta)), terms = list(own)))
}

fit_clmm <- function(m, d) {
  f <- as.formula(m$formula)
  link <- m$link
  run <- timed(clmm(f, data = d, link = link, nAGQ = m$nAGQ))
  fit <- run$value
  rho <- clmm(f, data = d, link = link, nAGQ = m$nAGQ, doFit = FALSE,
              control = list(useMatrix = m$nAGQ == 1, gradTol = 1e-9, innerCtrl = "noWarn"))
  quadrature <- m$nAGQ > 1
  value <- if (quadrature) function(x) ordinal:::getNAGQ.ssr(rho, x)
           else function(x) ordinal:::getNLA(rho, x)
  par <- unname(c(fit$alpha, fit$beta, if (quadrature) fit$optRes$par[length(fit$optRes$par)]
                  else ordinal:::ST2par(fit$ST)))
  best <- newton(function(x) grad(value, x), par, function(x) hessian(value, x))
  n_alpha <- length(fit$alpha)
  places <- n_alpha + seq_along(fit$beta)
  last <- best$par[-seq_len(n_alpha + length(fit$beta))]
  names_of <- names(VarCorr(fit))
  if (quadrature) {
    terms <- list(list(group = names_of, columns = I("(Intercept)"), sd = I(exp(last)),
                       corr = matrix(1)))
  } else {
    ST <- ordinal:::par2ST(last, fit$ST)
    terms <- lapply(seq_along(ST), function(i) {
      V <- ST[[i]] %*% t(ST[[i]])
      list(group = names_of[i], columns = I(colnames(VarCorr(fit)[[i]])), sd = I(sqrt(diag(V))),
           corr = unname(cov2cor(V)))
    })
  }
  list(theirs = list(call = "clmm", minus2loglik = -2 * as.numeric(logLik(fit)),
                     beta = unname(fit$beta), seconds = run$seconds),
       reference = list(minus2loglik = 2 * value(best$par), gradient = best$gradient,
                        names = names(fit$beta), beta = best$par[places],
                        se = errors_of(best$H, places), terms = terms,
                        threshold_names = names(fit$alpha),
                        thresholds = best$par[seq_len(n_alpha)],
                        threshold_se = errors_of(best$H, seq_len(n_alpha))))
}

columns_of <- function(m, d) {
  used <- d[intersect(names(d), all.vars(as.formula(m$formula)))]
  used <- used[complete.cases(used), , drop = FALSE]
  for (name in names(used)) {
    if (is.logical(used[[name]])) used[[name]] <- factor(used[[name]])
    if (is.factor(used[[name]])) used[[name]] <- droplevels(used[[name]])
  }
  used
}

chosen <- if (length(arguments) > 1) arguments[-1] else names(MODELS)
for (id in chosen) {
  m <- MODELS[[id]]
  d <- columns_of(m, eval(m$data))
  levels_of <- lapply(Filter(is.factor, d), function(x) list(levels = I(levels(x)),
                                                             ordered = is.ordered(x)))
  out <- tryCatch(switch(m$engine, glmer = fit_glmer, glmmTMB = fit_tmb, clmm = fit_clmm)(m, d),
                  error = function(e) list(error = conditionMessage(e)))
  record <- c(m[c("id", "source", "formula", "family", "link", "nAGQ", "zi")],
              list(n = nrow(d), factors = levels_of), out)
  text <- toJSON(record, digits = 15, auto_unbox = TRUE, null = "null", na = "null")
  writeLines(text, file.path(FOLDER, paste0(id, ".json")))
  write.csv(format(d, digits = 15, trim = TRUE), file.path(FOLDER, paste0(id, ".csv")),
            row.names = FALSE, quote = TRUE)
  cat(id, if (is.null(out$error)) sprintf("%.6f  gradient %.1e",
      out$reference$minus2loglik, out$reference$gradient) else out$error, "\n")
}
