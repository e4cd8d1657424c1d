# How a worker in R talks to peers.py: commands on stdin, a word and its arguments between tabs;
# each is answered by one line, a mark and a JSON object.

reply <- function(...) {  # one JSON object; a value inside I() is an array
  values <- list(...)
  text <- vapply(values, function(v) {
    if (is.character(v)) return(dQuote(v, FALSE))
    if (is.numeric(v)) v[is.na(v)] <- NaN
    text <- if (is.logical(v)) tolower(v) else sprintf("%.17g", v)
    if (inherits(v, "AsIs")) paste0("[", paste(text, collapse = ", "), "]") else text
  }, "")
  cat("@@", "{", paste0('"', names(values), '": ', text, collapse = ", "), "}\n", sep = "")
  flush(stdout())
}

memory_kb <- function(field) {  # VmRSS now, VmHWM at the peak; NA where there is no /proc
  if (!file.exists("/proc/self/status")) return(-1)
  line <- grep(paste0("^", field), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line))
}

converse <- function(commands) {  # a list of functions by command; their arguments are text
  input <- file("stdin", "r")
  while (length(line <- readLines(input, n = 1)) > 0) {
    words <- strsplit(line, "\t", fixed = TRUE)[[1]]
    do.call(commands[[words[1]]], as.list(words[-1]))
  }
}
