# Columns R makes from a formula; writes r_model_matrix.json. Run: Rscript r_model_matrix.R
library(splines)
library(jsonlite)
d <- data.frame(
  f = factor(c("a", "b", "c", "a", "b", "c", "a", "b", "c", "a", "b", "c")),
  g = factor(c("u", "v", "u", "u", "v", "v", "v", "u", "v", "u", "v", "u")),
  o = factor(c("lo", "mid", "hi", "top", "mid", "lo", "hi", "top", "lo", "mid", "top", "hi"),
             levels = c("lo", "mid", "hi", "top"), ordered = TRUE),
  l = c(TRUE, FALSE, FALSE, TRUE, TRUE, FALSE, TRUE, FALSE, TRUE, FALSE, FALSE, TRUE),
  x = c(1.5, 2, 3.25, 4, 4.5, 6, 7, 7.75, 9, 10, 11.5, 13),
  z = c(0.5, -1, 2, 0.25, 3, -2, 1, 1.5, -0.75, 2.5, 0.1, -0.3),
  k = c(1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4)
)
new <- data.frame(f = factor(c("c", "a", "b")), g = factor(c("v", "u", "u")),
                  o = factor(c("top", "lo", "mid"), levels = levels(d$o), ordered = TRUE),
                  l = c(FALSE, TRUE, TRUE), x = c(-2, 5.5, 20), z = c(1, 0, -1), k = c(2, 4, 1))
formulas <- c(
  "~ 1", "~ 0 + x", "~ f", "~ 0 + f", "~ x + f", "~ 0 + x + f", "~ f + g", "~ 0 + f + g",
  "~ f * g", "~ 0 + f * g", "~ f:g", "~ 0 + f:g", "~ f + f:g", "~ g + f:g", "~ f/g", "~ x:f",
  "~ 0 + x:f", "~ x + x:f", "~ x * f", "~ f + x:f", "~ 0 + f + x:f", "~ x:z", "~ x * z",
  "~ o", "~ 0 + o", "~ o * g", "~ f * o", "~ o:x", "~ l", "~ 0 + l", "~ l * x", "~ l:f", "~ f * l",
  "~ factor(k)", "~ 0 + factor(k)", "~ factor(k > 2)", "~ factor(k) * x", "~ I(x^2)",
  "~ f:x + g:x", "~ 0 + f:z + g:z + x", "~ f:g + f:l", "~ f:g + g:l + f:l", "~ 0 + f:g + l:x",
  "~ I(x > 4)", "~ I(x - 4.5)", "~ I(x - 4.5) * g", "~ (f + g + x)^2", "~ (f + g + l)^3",
  "~ f * g * l", "~ f * g - f", "~ f * g - g", "~ f * g - 1", "~ f * g - f:g", "~ f * g * x - f:g:x",
  "~ f + f:g:l", "~ g:l + f", "~ f %in% g", "~ log(x)", "~ log(x, 2)", "~ log2(x)", "~ log10(x)",
  "~ log1p(x)", "~ exp(z)", "~ expm1(z)", "~ sqrt(x)", "~ abs(z)", "~ scale(x)",
  "~ scale(x, scale = FALSE)", "~ scale(x, center = FALSE)", "~ scale(x, center = 2, scale = 3)",
  "~ I(scale(x)^2)", "~ poly(x, 2)", "~ poly(x, 4)", "~ poly(x, 3, raw = TRUE)", "~ poly(x, 1)",
  "~ poly(x, 2) * f", "~ f:poly(x, 2)", "~ bs(x)", "~ bs(x, df = 5)", "~ bs(x, df = 4, degree = 2)",
  "~ bs(x, knots = c(4, 8))", "~ bs(x, df = 6, intercept = TRUE)", "~ bs(x, degree = 1, df = 3)",
  "~ bs(x, df = 5, Boundary.knots = c(0, 15))", "~ bs(x, df = 5, Boundary.knots = c(3, 11))",
  "~ ns(x)", "~ ns(x, df = 2)", "~ ns(x, df = 4)", "~ ns(x, knots = c(4, 8))",
  "~ ns(x, df = 3, intercept = TRUE)", "~ ns(x, df = 3, Boundary.knots = c(3, 11))", "~ ns(x, 3) * g",
  "~ C(f, contr.sum)", "~ C(f, contr.helmert)", "~ C(f, contr.poly)", "~ C(o, contr.treatment)",
  "~ C(f, treatment)", "~ C(f, \"contr.treatment\")", "~ C(f, sum)", "~ C(o, helmert)", "~ C(f)",
  "~ C(f, contr.treatment, base = 2)", "~ C(f, contr.sum) * g", "~ cbind(x, z)",
  "~ factor(f, levels = c(\"c\", \"a\", \"b\"))", "~ factor(k, labels = c(\"p\", \"q\", \"r\", \"s\"))",
  "~ factor(f, ordered = TRUE)", "~ I(f == \"b\")", "~ I(o >= \"hi\")", "~ I(x %% 2)", "~ I(x %/% 2)",
  "~ I(l & x > 4)", "~ I(!l)", "~ I(l | x > 4)", "~ I((x + z) / 2)", "~ I(-x)", "~ x + offset(z)",
  "~ poly(x, z, degree = 2)", "~ poly(x, z, degree = 2, raw = TRUE)", "~ poly(x, z, degree = 1)",
  "~ poly(x, z, k, degree = 2)", "~ poly(x, z, degree = 3) * g", "~ poly(x, degree = 2)",
  "~ sin(2 * pi * x/12) + cos(2 * pi * x/12)", "~ tan(z)", "~ exp(-x/2 + z)", "~ log(pi * x^2)",
  "~ pmax(x, 5)", "~ pmin(x, z, k)", "~ pmax(x - 4, 0) * g", "~ ave(x)", "~ ave(x, g)",
  "~ I(x - ave(x, g))", "~ ave(x, f, g)", "~ ave(x, k)", "~ cut(x, 3)", "~ cut(x, c(0, 5, 20))",
  "~ cut(x, breaks = c(1.5, 5, 9.125, 20), right = FALSE)", "~ 0 + cut(x, c(1.5, 4.5, 13), include.lowest = TRUE)",
  "~ cut(x, c(1, 5, 13), labels = c(\"low\", \"high\")) * g", "~ cut(x, 3, ordered_result = TRUE)",
  "~ cut(x, 4, dig.lab = 2)", "~ cut(x, c(-Inf, 4, Inf))", "~ cut(x, c(5, 0, 20), FALSE)", "~ factor(cut(z, 2))",
  "~ cut(x, c(1.5, 4, 13), right = FALSE, include.lowest = TRUE)"
)
coded <- list(
  list("~ f * g", list(f = "contr.sum")), list("~ f * g", list(f = "contr.sum", g = "contr.helmert")),
  list("~ o", list(o = "contr.treatment")), list("~ o", list(o = "contr.sum")),
  list("~ f", list(f = "contr.poly")), list("~ o * f", list(o = "contr.helmert", f = "contr.poly")),
  list("~ factor(k) * f", list("factor(k)" = "contr.sum")), list("~ l", list(l = "contr.sum")),
  list("~ 0 + f + g", list(f = "contr.sum", g = "contr.sum"))
)
rows_of <- function(X) { dimnames(X) <- NULL; lapply(seq_len(nrow(X)), function(i) as.numeric(X[i, ])) }
case <- function(text, contrasts = NULL) {
  frame <- model.frame(as.formula(text), d)
  X <- model.matrix(terms(frame), frame, contrasts.arg = contrasts)
  coding <- attr(X, "contrasts")
  newframe <- suppressWarnings(tryCatch(model.frame(delete.response(terms(frame)), new, na.action = na.pass), error = function(e) NULL))
  # R forgets what factor(k), I(scale(x)), ave(x, g) or cut(x, 3) learnt: no new rows for those
  forgets <- grepl("factor\\(|I\\(scale|ave\\(|cut\\(", text)
  N <- if (is.null(newframe) || forgets) NULL else
    model.matrix(terms(frame), newframe, contrasts.arg = coding)
  list(formula = text, contrasts = lapply(contrasts, function(w) sub("contr.", "", w, fixed = TRUE)),
       names = I(colnames(X)), assign = I(attr(X, "assign")), columns = rows_of(X),
       new = if (is.null(N)) NULL else rows_of(N))
}
cases <- c(lapply(formulas, case), lapply(coded, function(c) case(c[[1]], c[[2]])))
asis <- function(frame) lapply(frame, function(v) if (is.factor(v)) as.character(v) else v)
write_json(list(R = R.version.string, data = asis(d), levels_o = levels(d$o), new = asis(new), cases = cases),
           "r_model_matrix.json", digits = 15, auto_unbox = TRUE, null = "null", na = "string")
