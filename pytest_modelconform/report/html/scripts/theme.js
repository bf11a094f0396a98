// Before anything is drawn: the theme that was chosen here before.
try {
  const theme = localStorage.getItem("modelconform-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Pages from a file may have no storage.
}
